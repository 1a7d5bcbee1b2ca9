"""Views and macros of a published snapshot: they stand in the file, run, and pool what they say."""

import re

import duckdb
import pytest

from ksi_pipeline.store.snapshot import analyst_statements, write_marts_database

TYPES = {
    "unit_key": "varchar",
    "business_date": "date",
    "local_hour": "timestamp",
    "hour_start_utc": "timestamp",
    "ticket_count": "bigint",
    "net_entry_count": "bigint",
    "units": "bigint",
    "net_sales": "decimal(18,4)",
    "tax_included": "boolean",
    "is_provisional": "boolean",
    "is_matched": "boolean",
    "is_open": "boolean",
    "expected_s": "double",
    "observed_s": "double",
}


def names(kind):
    found = [re.match(r"create (view|macro) (\w+)", each) for each in analyst_statements()]
    return [each[2] for each in found if each[1] == kind]


def columns_of(alias):
    text = "\n".join(each for each in analyst_statements() if "create view" in each)
    return sorted(set(re.findall(rf"\b{alias}\.(\w+)", text)) | {"unit_key"})


def make_build(path, marts):
    with duckdb.connect(str(path)) as con:
        con.execute("create schema marts")
        for mart in marts:
            spelled = [
                f"{name} {TYPES.get(name, 'varchar')}"
                for name in columns_of("d" if mart == "dim_unit" else "f")
            ]
            con.execute(f"create table marts.{mart} ({', '.join(spelled)})")


@pytest.fixture
def published(tmp_path):
    """A snapshot with one unit and three matched hours: 25 of 100, 30 of 120, 8 tickets of none."""
    build = tmp_path / "build.duckdb"
    facts = {
        name
        for each in analyst_statements()
        for name in re.findall(r"^from (\w+)", each, re.MULTILINE)
    }
    make_build(build, {"dim_unit", *facts})
    with duckdb.connect(str(build)) as con:
        con.execute("insert into marts.dim_unit by name select 'm/1' unit_key, 'One' unit_name")
        con.execute(
            "insert into marts.fct_conversion_hourly by name "
            "select 'm/1' as unit_key, t as ticket_count, n as net_entry_count, 10 as net_sales, "
            "c as currency, true as tax_included, true as is_matched, date '2023-02-08' as "
            "business_date, timestamp '2023-02-08 09:00' as local_hour "
            "from (values (25, 100, 'EUR'), (30, 120, 'EUR'), (8, null, 'USD')) as v(t, n, c)"
        )
        con.execute(
            "insert into marts.fct_conversion_hourly by name "
            "select 'm/1' as unit_key, 1000 as ticket_count, 1 as net_entry_count, "
            "date '2023-02-08' as business_date, false as is_matched"
        )
    path = tmp_path / "current.duckdb"
    write_marts_database(build, path, "1GB")
    return path


def asked(path, sql):
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(sql).fetchall()


@pytest.mark.parametrize("view", names("view"))
def test_every_view_stands_in_the_snapshot_and_runs(published, view):
    asked(published, f"select * from {view}")


def test_every_macro_stands_in_the_snapshot(published):
    found = asked(
        published, "select function_name from duckdb_functions() where database_name = 'current'"
    )
    assert {name for (name,) in found} >= set(names("macro"))


def test_conversion_is_pooled_over_rows_that_have_both_sides(published):
    rows = asked(
        published,
        "select unit_name, iso_weekday, pooled_conversion(ticket_count, net_entry_count) "
        "from v_conversion_hourly group by all",
    )
    assert rows == [("One", 3, 55 / 220)]


def test_pooling_nothing_is_null(published):
    sql = "select pooled({}, {}) from (select 5 as n, null::bigint as nothing, 0 as zero)"
    assert asked(published, sql.format("n", "nothing")) == [(None,)]
    assert asked(published, sql.format("n", "zero")) == [(None,)]


def test_amounts_of_two_currencies_are_never_pooled(published):
    by = "pooled_amount(net_sales, ticket_count, currency, tax_included)"
    assert asked(published, f"select {by} from v_conversion_hourly") == [(None,)]
    euros = f"select {by} from v_conversion_hourly where currency = 'EUR'"
    assert asked(published, euros) == [(20 / 55,)]


@pytest.mark.parametrize(
    ("second", "pooled"),
    [
        ("(100, 1, 'EUR', null)", None),
        ("(100, 1, null, true)", None),
        ("(100, 1, 'EUR', true)", 110.5),
        # told nothing, but counted nowhere either
        ("(100, null, null, null)", 121.0),
    ],
)
def test_what_is_not_told_is_not_pooled_with_what_is(published, second, pooled):
    by = "pooled_amount(amount, tickets, currency, tax_included)"
    rows = f"(values (121, 1, 'EUR', true), {second}) r(amount, tickets, currency, tax_included)"
    assert asked(published, f"select {by} from {rows}") == [(pooled,)]


def test_amounts_of_which_nothing_is_told_are_pooled(published):
    by = "pooled_amount(amount, tickets, null::varchar, null::boolean)"
    rows = "(values (121, 1), (100, 1)) r(amount, tickets)"
    assert asked(published, f"select {by} from {rows}") == [(110.5,)]


def test_a_view_whose_marts_are_not_there_is_left_out(tmp_path):
    build, path = tmp_path / "build.duckdb", tmp_path / "current.duckdb"
    make_build(build, ["dim_unit"])
    write_marts_database(build, path, "1GB")
    tables = asked(path, "select table_name from information_schema.tables")
    assert tables == [("dim_unit",)]


def test_the_snapshot_is_in_the_format_of_duckdb_1_2(published):
    tags = asked(
        published,
        f"select tags['storage_version'] from duckdb_databases() where path = '{published}'",
    )
    assert tags[0][0].startswith("v1.2")
