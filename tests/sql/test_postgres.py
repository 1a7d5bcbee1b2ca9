"""The connector on a real PostgreSQL: types, rights, reading only, and tickets of real shops."""

import gzip
import io
import json
from datetime import date

import polars as pl
import pyarrow.parquet as pq
import pytest

from ksi_pipeline.connectors.sql.values import INSTANT, WALL_TIME

from ..grocer import SPACE as GROCER
from ..grocer import STORES
from ..ticket_files.homes import at, hours
from ..ticket_files.test_real_files import BAKERY, compare_with_the_grocer, counted, written
from .homes import Home, current

pytestmark = pytest.mark.services

SECRET = "s3cret-of-reader"
LINES = (
    "create table lines (store text, no text, time timestamptz, sku text, qty integer, net numeric)"
)


class Shop(Home):
    """A home whose database is one of PostgreSQL, asked by a user who may only read."""

    def __init__(self, server, folder, made=LINES, **given):
        self.server, self.name = server, server.new_database("shop")
        server.new_role("reader", SECRET)
        self.run(made, "grant select on all tables in schema public to reader")
        super().__init__(folder, url=server.url(self.name, "reader", SECRET), **given)

    def run(self, *statements):
        """Change the database, as its owner."""
        with self.server.connection(self.name) as connection:
            for statement in statements:
                connection.execute(statement)

    def copy(self, table, frame):
        """Load a frame by COPY."""
        with self.server.connection(self.name) as connection, connection.cursor() as cursor:
            names = ", ".join(frame.columns)
            with cursor.copy(f"copy {table} ({names}) from stdin (format csv, header)") as into:
                into.write(frame.write_csv().encode())

    def kept(self):
        """The kept files that have rows."""
        folder = self.workspace.home.raw_tickets / "till" / "files"
        return [file for path in folder.iterdir() if (file := pq.read_table(path)).num_rows]


@pytest.fixture
def shop(postgres, tmp_path):
    return Shop(postgres, tmp_path)


def test_numbers_stay_exact_instants_stay_instants_and_codes_stay_text(shop):
    shop.run(
        "insert into lines values ('0001', '007', '2026-03-27 10:15:00.25+05:45', 'a', 1, 0.10)",
        "insert into lines values ('0001', '007', '2026-03-27 10:15+05:45', 'b', 1, 1234567.8901)",
    )
    _, read = shop.pull()
    assert (read.rows_loaded, current(shop.workspace)) == (2, {"007": "1234567.9901"})
    (ticket,) = shop.workspace.store.read("tickets").to_pylist()
    assert ticket["at_utc"] == at("2026-03-27 04:30:00")
    (kept,) = shop.kept()
    assert (str(kept.schema.field("net").type), kept.schema.field("time").type) == (
        "decimal128(38, 4)",
        INSTANT,
    )
    assert kept["store"].to_pylist() == ["0001", "0001"]


def test_times_without_a_zone_stay_so_on_the_night_of_the_clock_change(postgres, tmp_path):
    shop = Shop(postgres, tmp_path, LINES.replace("timestamptz", "timestamp"))
    shop.at("2026-03-29 12:00")
    shop.run(
        *(
            f"insert into lines values ('0001', '{n}', '2026-03-29 {time}', 'a', 1, 1)"
            for n, time in enumerate(("00:30", "01:59:59", "03:00", "23:59"))
        )
    )
    shop.pull()
    assert {kept.schema.field("time").type for kept in shop.kept()} == {WALL_TIME}
    found = {key[1]: row["num_tickets"] for key, row in hours(shop.workspace).items()}
    assert found == {
        at("2026-03-28 23:00"): 1,
        at("2026-03-29 00:00"): 1,
        at("2026-03-29 01:00"): 1,
    }


def test_what_is_no_amount_or_no_time_is_set_aside_and_the_rest_is_loaded(postgres, tmp_path):
    mapping = "grain: ticket\ncolumns: {ext_ref_code: store, ticket_id: no, at: sold, net: net}\n"
    table = LINES.replace("qty", "sold timestamptz, qty")
    shop = Shop(postgres, tmp_path, table, mapping=mapping)
    for n, (sold, net) in enumerate(
        [
            ("2026-03-27 10:00Z", "1.5"),
            ("infinity", "2"),
            ("0044-03-15 BC", "3"),
            ("2026-03-27 11:00Z", "NaN"),
            ("2026-03-27 11:00Z", "Infinity"),
        ]
    ):
        shop.run(
            "insert into lines (store, no, time, sold, net) values "
            f"('0001', '{n}', '2026-03-27 12:00Z', '{sold}', '{net}')"
        )
    _, read = shop.pull()
    assert read.codes == {"E_BAD_TIME": 2, "E_MONEY_TYPE": 2}
    assert current(shop.workspace) == {"0": "1.5"}


def test_odd_types_are_kept_as_text(postgres, tmp_path):
    mapping = (
        "grain: ticket\ncolumns: {ext_ref_code: store, ticket_id: id, at: time, net: net, "
        "till: raw, channel: tags}\n"
    )
    table = (
        "create table lines (store char(4), id uuid, time timestamptz, net money, raw bytea, "
        "tags text[], more jsonb)"
    )
    shop = Shop(
        postgres,
        tmp_path,
        table,
        mapping=mapping.replace("net: net, ", ""),
        columns=["more", "net"],
    )
    shop.run(
        "insert into lines values ('0001', '00000000-0000-0000-0000-000000000007', "
        "'2026-03-27 10:00Z', 1.5, '\\x00ff', '{a,b}', '{\"k\": [1.50]}')"
    )
    shop.pull()
    (ticket,) = shop.workspace.store.read("tickets").to_pylist()
    assert (ticket["ticket_id"], ticket["till"], ticket["channel"]) == (
        "00000000-0000-0000-0000-000000000007",
        "00ff",
        '["a", "b"]',
    )
    (kept,) = shop.kept()
    assert kept["net"].to_pylist() == ["$1.50"]


def test_a_function_that_writes_is_stopped_by_the_transaction(shop):
    shop.run(
        "insert into lines values ('0001', 'A', '2026-03-27 10:00Z', 'a', 1, 1)",
        "create function sneaky() returns integer language plpgsql security definer as "
        "$$ begin delete from lines; return 1; end $$",
        "grant execute on function sneaky() to reader",
    )
    shop.configure(
        table=None,
        query="select l.*, sneaky() from lines l",
        tables=["lines"],
        functions=["sneaky"],
        columns=["sneaky"],
    )
    assert shop.failure().startswith("E_SQL_RIGHTS: ")
    with shop.server.connection(shop.name) as connection:
        assert connection.execute("select count(*) from lines").fetchone() == (1,)


def refused(shop, code):
    said = shop.failure()
    assert said.startswith(f"{code}: ")
    for part in (SECRET, "127.0.0.1", str(shop.server.port), "reader", "postgresql"):
        assert part not in said
    return said


def test_a_wrong_password_and_an_unknown_user_are_told_apart_from_an_address(shop):
    shop.env["POS_URL"] = shop.server.url(shop.name, "reader", "wrong-" + SECRET)
    refused(shop, "E_SQL_AUTH")
    shop.env["POS_URL"] = shop.server.url(shop.name, "nobody_knows", SECRET)
    refused(shop, "E_SQL_AUTH")
    shop.env["POS_URL"] = shop.server.url("no_such_database", "reader", SECRET)
    refused(shop, "E_SQL_UNREACHABLE")
    shop.env["POS_URL"] = f"postgresql+psycopg://reader:{SECRET}@127.0.0.1:1/shop"
    refused(shop, "E_SQL_UNREACHABLE")


def test_what_is_not_there_and_what_may_not_be_read_have_their_codes(shop):
    shop.run("create table secret_lines (like lines)")
    for settings, code in (
        ({"table": "nowhere"}, "E_SQL_TABLE"),
        ({"table": "nowhere.lines"}, "E_SQL_TABLE"),
        ({"columns": ["nothing"]}, "E_SQL_COLUMN"),
        ({"table": "secret_lines"}, "E_SQL_RIGHTS"),
        ({"watermark": {"column": "net", "kind": "updated_at"}}, "E_SQL_WATERMARK"),
    ):
        shop.run("insert into lines values ('0001', 'A', '2026-03-27 10:00Z', 'a', 1, 1)")
        shop.configure(**settings)
        refused(shop, code)


def test_a_query_that_takes_too_long_is_ended_by_the_server(shop):
    shop.run("insert into lines values ('0001', 'A', '2026-03-27 10:00Z', 'a', 1, 1)")
    shop.configure(
        table=None,
        tables=["lines"],
        statement_timeout_s=0.2,
        query="select l.* from lines l, generate_series(1, 1000000000) n order by n desc",
    )
    assert "longer than 0.2 s" in refused(shop, "E_SQL_TIMEOUT")


GROCER_MAPPING = """\
grain: line
columns:
  ext_ref_code: store_id
  ticket_id: basket_id
  at: transaction_timestamp
  net: sales_value
  quantity: quantity
  sku: product_id
  category: {column: department, default: UNKNOWN}
  currency: {value: USD}
"""
GROCER_TABLES = """
create table lines (store_id text, basket_id text, product_id text, quantity integer,
    sales_value numeric(12, 2), transaction_timestamp timestamptz, updated_at timestamptz);
create table products (product_id text primary key, department text);
create index on lines (transaction_timestamp);
create index on lines (updated_at);
create index on lines (basket_id);
alter role reader set timezone to 'Asia/Kolkata';
"""
BY_TIME = {"column": "transaction_timestamp", "kind": "ticket_time"}


@pytest.mark.data
@pytest.mark.parametrize("kind", ["ticket_time", "updated_at"])
def test_a_year_of_a_real_grocer_gives_what_was_worked_out_elsewhere(
    postgres, test_data, tmp_path, kind
):
    folder = test_data / "tickets" / "completejourney"
    sold = pl.read_parquet(folder / "transactions.parquet").filter(
        pl.col("store_id").is_in([int(code) for code in STORES])
    )
    column = {"ticket_time": "transaction_timestamp"}.get(kind, kind)
    query = (
        "select l.*, p.department from lines l left join products p on p.product_id = l.product_id"
    )
    shop = Shop(
        postgres,
        tmp_path,
        GROCER_TABLES,
        mapping=GROCER_MAPPING,
        space=GROCER,
        table=None,
        query=query,
        tables=["lines", "products"],
        since=json_day("2016-12-31"),
        watermark={"column": column, "kind": kind},
        longest_window_days=31,
    )
    names = ["store_id", "basket_id", "product_id", "quantity", "sales_value"]
    at_utc = pl.col("transaction_timestamp").dt.to_string("%Y-%m-%dT%H:%M:%SZ")
    late = pl.col("transaction_timestamp").dt.offset_by("30h").dt.to_string("%Y-%m-%dT%H:%M:%SZ")
    shop.copy("lines", sold.select(*names, at_utc, late.alias("updated_at")))
    products = pl.read_parquet(folder / "products.parquet")
    shop.copy("products", products.select("product_id", "department").unique("product_id"))
    # when the last row was just written
    shop.at({"ticket_time": "2018-01-02 00:00"}.get(kind, "2018-01-03 00:00"))
    asked, read = shop.pull()
    assert asked.failed == {}
    assert (read.rows_quarantined, read.rows_loaded) == (0, sold.height)
    compare_with_the_grocer(shop.workspace, folder / "expected")
    again, _ = shop.pull()
    assert again.new_count == 0


@pytest.mark.data
def test_half_a_year_of_a_real_bakery_gives_what_was_worked_out_elsewhere(
    postgres, test_data, tmp_path
):
    folder = test_data / "tickets" / "bread_basket"
    content = gzip.decompress((folder / "BreadBasket_DMS.csv.gz").read_bytes())
    frame = pl.read_csv(io.BytesIO(content), infer_schema=False)
    mapping = (
        "grain: line\nskip: {Item: NONE}\ncolumns: {ext_ref_code: {value: BB01}, "
        "ticket_id: Transaction, at: {column: [Date, Time], zone: site}, sku: Item}\n"
    )
    shop = Shop(
        postgres,
        tmp_path,
        'create table lines ("Date" date, "Time" time, "Transaction" integer, "Item" text)',
        mapping=mapping,
        space=BAKERY,
        since=json_day("2016-10-30"),
        watermark={"column": "Date", "kind": "ticket_time", "zone": "site"},
        longest_window_days=90,
    )
    shop.copy("lines", frame.select(pl.all().name.map(lambda name: f'"{name}"')))
    shop.at("2017-04-20 00:00")
    _, read = shop.pull()
    assert read.rows_quarantined == 0
    feed = json.loads((folder / "expected" / "bb_feed_hourly.json").read_text())
    totals = json.loads((folder / "expected" / "bb_totals.json").read_text())
    assert len(current(shop.workspace)) == totals["tickets"]
    assert counted(shop.workspace) == written(feed)


def json_day(text):
    from datetime import date

    return date.fromisoformat(text)


def test_a_query_with_a_backslash_is_asked_as_it_was_checked(shop):
    shop.run("insert into lines values ('0001', 'A-1:7', '2026-03-27 10:15Z', 'a', 1, 2)")
    columns = r"store, regexp_replace(no, '\D', '', 'g') as no, time, sku, qty, net"
    shop.configure(table=None, tables=["lines"], query=f"select {columns} from lines")
    _, read = shop.pull()
    assert (read.rows_loaded, current(shop.workspace)) == (1, {"17": "2"})


def test_whole_numbers_of_a_column_with_decimals_are_a_watermark_and_others_are_none(
    postgres, tmp_path
):
    numbered = {
        "watermark": {"column": "id", "kind": "integer"},
        "since": 0,
        "complete_from": date(2026, 3, 20),
    }
    table = LINES.replace("qty", "id numeric(18,2), qty")
    shop = Shop(postgres, tmp_path, table, **numbered)
    shop.run("insert into lines values ('0001', 'A1', '2026-03-27 10:15Z', 'a', 7.00, 1, 2)")
    asked, _ = shop.pull()
    assert (asked.failed, current(shop.workspace)) == ({}, {"A1": "2"})
    shop.run("insert into lines values ('0001', 'A2', '2026-03-27 10:15Z', 'a', 7.50, 1, 2)")
    assert shop.failure().startswith("E_SQL_WATERMARK: ")
    shop.run("update lines set id = 'NaN' where no = 'A2'")
    assert shop.failure().startswith("E_SQL_WATERMARK: ")
    shop.run(
        "update lines set id = 1e15 where no = 'A2'", "alter table lines alter id type numeric"
    )
    shop.run("update lines set id = 1e25 where no = 'A2'")
    assert shop.failure().startswith("E_SQL_WATERMARK: ")


def test_a_failure_shows_no_value_of_a_row(shop):
    shop.run("insert into lines values ('0001', 'A1-of-Ann', '2026-03-27 10:15Z', 'a', 1, 2)")
    columns = "store, no, time, sku, qty, no::integer as net"
    shop.configure(table=None, tables=["lines"], query=f"select {columns} from lines")
    said = shop.failure()
    assert said.startswith("E_SQL_FAILED: Connector 'till': the database failed with ")
    assert "(SQLSTATE 22P02)" in said
    assert "Ann" not in said
