"""A small mart to publish, and one place of each kind, read as its readers read it."""

import json
import threading
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.publishing import Batch, Column, Part
from ksi_pipeline.durable import sha256
from ksi_pipeline.publishers.config import read_targets
from ksi_pipeline.publishers.registry import make_target
from ksi_pipeline.publishers.runner import publish
from ksi_pipeline.store.ledger import Ledger
from ksi_pipeline.store.receipts import TargetReceipts

MART = "fct_sales"
SECRET = "s3cret-of-publisher"
COLUMNS = (
    Column("unit_key", "text", is_nullable=False, description="The unit; it's text."),
    Column("code", "text"),
    Column("business_date", "date", is_nullable=False),
    Column("hour_start_utc", "timestamp", is_nullable=False),
    Column("tickets", "bigint"),
    Column("net_sales", "decimal(18,4)"),
    Column("conversion_rate", "double"),
    Column("is_open", "boolean"),
)
KEY = ("unit_key", "hour_start_utc")
NAMES = tuple(column.name for column in COLUMNS)
_ARROW = {
    "text": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "bigint": pa.int64(),
    "decimal(18,4)": pa.decimal128(18, 4),
    "decimal(38,10)": pa.decimal128(38, 10),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}


class Killed(BaseException):
    """What a killed run raises nowhere: nothing catches it."""


def sale(day, hour, tickets, net="12.3400", rate=None, code="0001"):
    """One row of the mart."""
    at = datetime(day.year, day.month, day.day, hour, 0, 0, 123_000)
    rate = tickets / 3 if rate is None else rate
    return (f"mall/{code}", code, day, at, tickets, Decimal(net), rate, hour < 20)


JANUARY = [sale(date(2026, 1, 30), 9, 25), sale(date(2026, 1, 31), 23, 1, "-0.0001", code="0002")]
FEBRUARY = [sale(date(2026, 2, 1), 0, 7, "99999999999.1234")]
ROWS = {"2026-01": JANUARY, "2026-02": FEBRUARY}


class Marts:
    """Parquet files as a snapshot has them."""

    def __init__(self, folder):
        self.folder = folder

    def batches(self, rows=ROWS, *, columns=COLUMNS, mart=MART):
        return [self.batch(month, given, columns, mart) for month, given in rows.items()]

    def batch(self, month, rows, columns=COLUMNS, mart=MART):
        table = pa.table(
            {
                column.name: pa.array([row[at] for row in rows], _ARROW[column.type])
                for at, column in enumerate(columns)
            }
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        made = self.folder / "new.parquet"
        pq.write_table(table, made)
        content = sha256(made)
        path = made.rename(self.folder / f"{mart}-{content}.parquet")
        return Batch(Part(mart, month), path, content, len(rows), columns, KEY, "Sales by hour.")


class Place:
    """One target with its receipts."""

    def __init__(self, folder, text, secrets=None):
        self.folder = folder
        (self.config,) = read_targets({"targets": [text]}, lambda _path: 1, "targets.yaml")
        self.secrets = secrets or {}
        self.receipts = TargetReceipts(
            Ledger(f"sqlite:///{folder / 'ledger.sqlite'}"),
            self.config.id,
            lambda: datetime(2026, 3, 1, tzinfo=UTC),
        )

    def target(self):
        return make_target(self.config, self.secrets.get, self.folder)

    def publish(self, batches, **given):
        return publish(self.target(), batches, self.receipts, **given)

    def publish_until(self, batches, step):
        """Publish, and be killed before the step of that number; the names of all steps so far."""
        steps = []

        def told(what, _share):
            steps.append(what)
            if len(steps) == step:
                raise Killed

        with suppress(Killed):
            self.publish(batches, told=told)
        return steps

    def rows(self):
        """The rows that readers see, in order; [] before the first publication."""
        raise NotImplementedError

    def alter(self, statement):
        """Change what readers see by hand."""
        raise NotImplementedError

    def client_is_gone(self):
        """Let pass what passes by itself once a publisher was killed."""


class FilesPlace(Place):
    def __init__(self, folder, _server=None):
        kinds = ["parquet", "csv", "xlsx"]
        super().__init__(folder, {"id": "t", "kind": "files", "path": "out", "formats": kinds})
        self.current = folder / "out" / "current"

    def rows(self):
        try:
            version = self.current.resolve(strict=True)
            told = json.loads((version / "manifest.json").read_text())["marts"]
        except FileNotFoundError:
            return []
        found = []
        for part in told.get(MART, {"partitions": {}})["partitions"].values():
            name = part["files"][0]["path"]
            found += pl.read_parquet(version / name, columns=NAMES, hive_partitioning=False).rows()
        return sorted(found)

    def alter(self, _statement):
        (path,) = self.current.glob(f"csv/{MART}/*-2026-01.csv")
        text = path.read_bytes()
        path.unlink()
        path.write_bytes(text.replace(b"25", b"26"))


class DuckdbPlace(Place):
    def __init__(self, folder, _server=None):
        super().__init__(folder, {"id": "t", "kind": "duckdb", "path": "out/ksi.duckdb"})
        self.path = folder / "out" / "ksi.duckdb"

    def rows(self):
        if not self.path.exists():
            return []
        with duckdb.connect(str(self.path), read_only=True) as connection:
            known = connection.execute("show tables").fetchall()
            listed = ", ".join(NAMES)
            asked = f"select {listed} from {MART}"
            return sorted(connection.execute(asked).fetchall()) if (MART,) in known else []

    def alter(self, statement):
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(statement)


class PostgresPlace(Place):
    def __init__(self, folder, server):
        self.server = server
        self.database = server.new_database("published")
        server.new_role("ksi_publisher", SECRET)
        server.new_role("ksi_reader", SECRET)
        url = server.url(self.database, "ksi_publisher", SECRET)
        settings = {"id": "t", "kind": "postgres", "url_env": "WAREHOUSE_URL", "lock_wait_s": 2}
        super().__init__(folder, settings, {"WAREHOUSE_URL": url})
        with server.connection(self.database) as connection:
            for statement in self.target().grants():
                connection.execute(statement)

    def rows(self):
        """Read as who may read and nothing else."""
        import psycopg

        url = self.server.url(self.database, "ksi_reader", SECRET).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            known = connection.execute("select to_regclass(%s)", [f"ksi.{MART}"]).fetchone()[0]
            asked = f"select {', '.join(NAMES)} from ksi.{MART}"
            return sorted(connection.execute(asked).fetchall()) if known else []

    def alter(self, statement):
        with self.server.connection(self.database) as connection:
            connection.execute("set search_path = ksi")
            connection.execute(statement)


class Poller:
    """Reads a place again and again beside the test."""

    def __init__(self, place):
        self.place, self.seen, self.wrong = place, [], []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self):
        while not self._end.is_set():
            try:
                self.seen.append(self.place.rows())
            except Exception as error:  # noqa: BLE001 - the test shows it
                self.wrong.append(error)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def by_month(rows):
    """Rows of each month, in order."""
    months = {row[2].strftime("%Y-%m") for row in rows}
    return {m: sorted(r for r in rows if r[2].strftime("%Y-%m") == m) for m in months}


def counted(outcome):
    """How many partitions had each action."""
    return Counter(change.action for change in outcome.changes)
