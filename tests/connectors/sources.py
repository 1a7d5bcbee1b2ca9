"""One little shop's sales, told by every kind of connector: an API, files, a database.

A source is told all its tickets with `says`; what a run makes of them must not depend on its kind.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ksi_pipeline.core.ticket_revisions import current_revisions
from ksi_pipeline.core.time import Window, hour_start_utc
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.steps.sql_pull import pull_databases
from ksi_pipeline.defs.steps.ticket_files import parse_ticket_files
from ksi_pipeline.defs.steps.ticket_inbox import take_ticket_files
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.sandbox.pos_api import Fault, PosApi
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store

SECRET = "s3cret-of-a-source.42"
ZONE = ZoneInfo("Europe/Madrid")
SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: u1}, {id: u2}]
links:
  - {connector: src, ext_ref_code: "0001", unit: u1, from: 2026-01-01}
"""
LINK_TWO = '  - {connector: src, ext_ref_code: "0002", unit: u2, from: 2026-01-01}\n'
MAPPING = """\
grain: ticket
covers: days
columns: {ext_ref_code: store, ticket_id: ticket, at: at}
"""


@dataclass(frozen=True)
class Sale:
    """One sale ticket; `at` is aware."""

    code: str
    ticket_id: str
    at: datetime


def sales(code: str, hour: datetime, count: int) -> list[Sale]:
    """So many tickets in the hour that begins at an instant, a minute apart."""
    return [
        Sale(code, f"{hour:%d%H}-{n}", hour + timedelta(minutes=n)) for n in range(1, count + 1)
    ]


def local(text: str, fold: int = 0) -> datetime:
    """A wall-clock time of the shop, as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE, fold=fold).astimezone(UTC)


@dataclass
class Home:
    """A data home with one connector `src`, and a clock that tests set."""

    root: Path
    source: Any
    now: datetime
    others: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Write the files that a user writes."""
        for name, text in (("spaces/shop.yaml", SPACE), ("mappings/sales.yaml", MAPPING)):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.describe("missing")

    def describe(self, absent_means: str) -> None:
        """Write connectors.yaml."""
        entries = [self.source.entry.replace("ABSENT", absent_means), *self.others]
        (self.root / "connectors.yaml").write_text("\n".join(["connectors:", *entries]) + "\n")

    def says(self, told: Sequence[Sale]) -> None:
        """Let the source say these tickets, and no others, ten minutes after it was last asked."""
        self.now += timedelta(minutes=10)
        self.source.says(told, self.now - timedelta(minutes=1))

    def break_down(self) -> None:
        """Let the source fail for good, ten minutes after it was last asked."""
        self.now += timedelta(minutes=10)
        self.source.break_down(self.now - timedelta(minutes=1))

    def link_the_other_code(self) -> None:
        """Link 0002, which the shop has sold under all the time."""
        (self.root / "spaces" / "shop.yaml").write_text(SPACE + LINK_TWO)

    @property
    def workspace(self) -> Workspace:
        """Opened anew, as each run opens it."""
        store = Store(DataHome(self.root.resolve()))
        return Workspace(
            store, Path(), {"SRC_SECRET": self.source.secret}.get, clock=lambda: self.now
        )

    def run(self, day: str = "2026-03-27") -> dict[str, str]:
        """Take what every source says of some days, and read it; give what failed."""
        workspace = self.workspace
        load_spaces(workspace)
        start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
        pulled = pull_answers(workspace, Window(start, start + timedelta(days=3)))
        taken = take_ticket_files(workspace)
        asked = pull_databases(workspace)
        parse_answers(workspace)
        read = parse_ticket_files(workspace)
        return {**pulled.failed, **taken.failed, **asked.failed, **read.failed}

    def hours(self) -> dict[tuple[str, datetime], int]:
        """Tickets by code and hour, as they hold now; hours of 0 are left out."""
        rows = current_revisions(self.workspace.store.read("ticket_hours")).to_pylist()
        return {
            (row["ext_ref_code"], row["hour_start_utc"]): row["num_tickets"]
            for row in rows
            if row["num_tickets"]
        }

    def status(self, code: str, hour: datetime) -> str | None:
        """What is known of an hour: the newest coverage row that holds it whole."""
        rows = [
            row
            for row in self.workspace.store.read("coverage").to_pylist()
            if row["key"] == code
            and row["from_utc"] <= hour
            and row["to_utc"] >= hour + timedelta(hours=1)
        ]
        return max(rows, key=lambda row: row["fetched_at_utc"])["status"] if rows else None


class ApiSource:
    """An hourly API."""

    def __init__(self, folder: Path) -> None:
        self._api = PosApi([], token=SECRET)
        self._api.__enter__()
        self.entry = (
            f'  - {{id: src, kind: hourly_api, url: "{self._api.url}", token_env: SRC_SECRET,'
            " allow_http: true, allow_private: true, max_attempts: 1, absent_means: ABSENT,"
            " active: true}"
        )

    secret = SECRET

    def says(self, told: Sequence[Sale], _now: datetime) -> None:
        """Let the source say these tickets, and no others."""
        counted = Counter((sale.code, hour_start_utc(sale.at, ZONE)) for sale in told)
        self._api.replace_rows(
            [
                {
                    "time": hour.astimezone(ZONE).isoformat(),
                    "ext_ref_code": code,
                    "num_tickets": count,
                }
                for (code, hour), count in sorted(counted.items())
            ]
        )

    def break_down(self, _now: datetime) -> None:
        """Let the source fail for good."""
        self._api.script(Fault(status=401, body=SECRET.encode(), times=1_000))

    def close(self) -> None:
        """Stop it."""
        self._api.__exit__(None, None, None)


class FileSource:
    """Files in an inbox: each holds all tickets of the time."""

    def __init__(self, folder: Path) -> None:
        self.secret = SECRET
        self._inbox = folder / "drops" / "src"
        self._inbox.mkdir(parents=True)
        self._count = 0
        self.entry = (
            "  - {id: src, kind: ticket_files, mapping: sales, absent_means: ABSENT, active: true,"
            " stable_s: 0}"
        )

    def says(self, told: Sequence[Sale], now: datetime) -> None:
        """Let the source say these tickets, and no others."""
        lines = [f"{sale.code},{sale.ticket_id},{sale.at.isoformat()}" for sale in told]
        self._drop("\n".join(["store,ticket,at", *lines]) + "\n", now)

    def break_down(self, now: datetime) -> None:
        """Let the source fail for good."""
        self._drop("no,such\ncolumns,here\n", now)

    def close(self) -> None:
        """Nothing is open."""

    def _drop(self, content: str, now: datetime) -> None:
        self._count += 1
        path = self._inbox / f"{self._count}.csv"
        path.write_text(content)
        os.utime(path, (now.timestamp(),) * 2)


class DatabaseSource:
    """A table of tickets; its address is the secret."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = folder / f"{SECRET}.sqlite"
        self.secret = f"sqlite:///{self._database}"
        self.entry = (
            "  - {id: src, kind: sql, mapping: sales, url_env: SRC_SECRET, table: sold,"
            " watermark: at, watermark_kind: ticket_time, since: 2026-03-20,"
            " absent_means: ABSENT, active: true}"
        )

    def says(self, told: Sequence[Sale], _now: datetime) -> None:
        """Let the source say these tickets, and no others."""
        rows = [(sale.code, sale.ticket_id, f"{sale.at:%Y-%m-%dT%H:%M:%SZ}") for sale in told]
        with closing(sqlite3.connect(self._database)) as connection, connection:
            connection.execute("drop table if exists sold")
            connection.execute("create table sold (store text, ticket text, at text)")
            connection.executemany("insert into sold values (?, ?, ?)", rows)

    def break_down(self, _now: datetime) -> None:
        """Let the source fail for good."""
        with closing(sqlite3.connect(self._database)) as connection, connection:
            connection.execute("drop table sold")

    def close(self) -> None:
        """Nothing is open."""


KINDS = {"hourly_api": ApiSource, "ticket_files": FileSource, "sql": DatabaseSource}
