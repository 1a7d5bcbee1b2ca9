"""A data home with one connector of a database, and the database of the tests: a SQLite file."""

import json
import sqlite3
from contextlib import closing
from datetime import date, datetime

from ksi_pipeline.defs.steps.sql_pull import pull_databases
from ksi_pipeline.defs.steps.ticket_files import parse_ticket_files

from ..ticket_files.homes import MAPPING, SPACE
from ..ticket_files.homes import make_home as make_file_home

TABLE = (
    "create table lines (store text, no text, time text, written text, id integer, sku text, "
    "qty integer, net numeric)"
)


def entry(**settings):
    """One connector, as it stands in connectors.yaml; None leaves a setting out."""
    known = {
        "id": "till",
        "kind": "sql",
        "mapping": "till",
        "url_env": "POS_URL",
        "table": "lines",
        "since": date(2026, 3, 20),
        "absent_means": "zero",
        "active": True,
        "watermark": {"column": "time", "kind": "ticket_time", "zone": "site"},
    } | settings
    mark = known.pop("watermark")
    known |= {f"watermark_{name}".removesuffix("_column"): value for name, value in mark.items()}
    return {name: value for name, value in known.items() if value is not None}


def connectors(*entries):
    """connectors.yaml; JSON is YAML, but for days, which must stand without quotes."""
    text = json.dumps({"connectors": entries or [entry()]}, default=lambda day: f"@{day}@")
    return text.replace('"@', "").replace('@"', "")


class Home:
    """A data home whose clock the test sets, beside its database."""

    def __init__(self, folder, mapping=MAPPING, space=SPACE, url=None, **settings):
        folder.mkdir(exist_ok=True)
        self.database = folder / "pos.sqlite"
        text = connectors(entry(**settings))
        self.workspace = make_file_home(folder / "home", mapping, space, text)
        self.env = {"POS_URL": url or f"sqlite:///{self.database}"}
        self.workspace.secrets = self.env.get
        self.at("2026-03-27 18:00")
        self.sql(TABLE)

    def at(self, text):
        """Set the clock, UTC."""
        now = datetime.fromisoformat(f"{text}+00:00")
        self.workspace.clock = lambda: now

    def sql(self, statement, *rows):
        """Change the database."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            if rows:
                connection.executemany(statement, rows)
            else:
                connection.execute(statement)

    def sell(self, *lines):
        """Add lines: number of the ticket, local time, amount, and when it was written."""
        known = [(*line, line[1])[:4] for line in lines]  # written when it was sold, or later
        self.sql(
            "insert into lines (store, no, time, net, written, sku, qty) "
            "values ('0001', ?, ?, ?, ?, 'tea', 1)",
            *known,
        )

    def configure(self, **settings):
        """Write connectors.yaml anew."""
        self.workspace.home.connectors.write_text(connectors(entry(**settings)))

    def pull(self, **asked):
        """Ask, and read what is new; gives both reports."""
        return pull_databases(self.workspace, **asked), parse_ticket_files(self.workspace)

    def failure(self, **asked):
        """The message of the pull that has to fail."""
        report, _ = self.pull(**asked)
        assert list(report.failed) == ["till"]
        return report.failed["till"]


def current(workspace):
    """Tickets that hold now: number -> amount, or none."""
    held = {}
    for row in workspace.store.read("tickets").to_pylist():
        key = row["ext_ref_code"], row["ticket_id"]
        if key not in held or held[key]["fetched_at_utc"] < row["fetched_at_utc"]:
            held[key] = row
    return {
        number: None if row["net"] is None else format(row["net"].normalize(), "f")
        for (_, number), row in held.items()
    }
