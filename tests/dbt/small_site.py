"""Small lakes: typed tables from the Arrow schemas, and a site's rows in the words of a test.

A model meets the columns and types that the store registers; a dataset that a test does not name
is empty, never absent.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from ksi_pipeline.core.schemas import DATASETS, LEDGER_VIEWS
from ksi_pipeline.core.time import OpeningHours, Window, hour_start_utc, local_hours, open_spans

ALWAYS = {"valid_from_utc": None, "valid_to_utc": None}
MINUTE = timedelta(minutes=1)
Row = dict[str, Any]
Lake = Mapping[str, Iterable[Row]]


def make_lake(path: Path, datasets: Lake) -> None:
    """Write schema `lake` into the DuckDB file at `path`; marts that stand there are kept."""
    schemas = {**DATASETS, **LEDGER_VIEWS}
    assert set(datasets) <= set(schemas), f"no such dataset: {set(datasets) - set(schemas)}"
    with duckdb.connect(str(path)) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("create schema if not exists lake")
        for name, schema in schemas.items():
            con.register("given_rows", pa.Table.from_pylist(list(datasets.get(name, [])), schema))
            con.execute(f"create or replace table lake.{name} as select * from given_rows")
            con.unregister("given_rows")


def rows_of(path: Path, sql: str) -> list[Row]:
    """Run one query on the build file and give its rows by column name."""
    with duckdb.connect(str(path), read_only=True) as con:
        return con.sql(sql).to_arrow_table().to_pylist()


def marts_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every mart, sorted, so that two builds can be compared whole."""
    with duckdb.connect(str(path), read_only=True) as con:
        marts = con.sql(
            "select table_name from information_schema.tables "
            "where table_schema = 'marts' order by table_name"
        ).fetchall()
        return {
            name: con.sql(f"select * from marts.{name} order by all").fetchall()
            for (name,) in marts
        }


class SmallSite:
    """One site's lake rows; every unit has one entrance, seen by a camera of its own name."""

    def __init__(self, site_id: str, zone: str, opening: OpeningHours) -> None:
        self.site_id, self.zone, self.opening = site_id, ZoneInfo(zone), opening
        self.lake: defaultdict[str, list[Row]] = defaultdict(list)
        self.lake["space_site"].append(
            {
                "site_id": site_id,
                "name": site_id.upper(),
                "timezone": zone,
                "currency": "EUR",
                "business_day_start": "00:00",
                "space_version": "v1",
            }
        )

    def at(self, text: str) -> datetime:
        """Read local time, e.g. 2023-02-08 09:30."""
        return datetime.fromisoformat(text).replace(tzinfo=self.zone)

    def calendar(self, first: str, until: str) -> None:
        """Add the local hours of [first, until) and their open pieces."""
        for hour in local_hours(Window(self.at(first), self.at(until)), self.zone):
            key = {"site_id": self.site_id, "hour_start_utc": hour.start_utc}
            spans = open_spans(self.opening, Window(hour.from_utc, hour.end_utc), self.zone)
            self.lake["site_hours"].append(
                {
                    **key,
                    "hour_from_utc": hour.from_utc,
                    "hour_end_utc": hour.end_utc,
                    "local_hour": hour.local_hour,
                    "utc_offset_s": hour.utc_offset_s,
                    "business_date": hour.business_date,
                    "open_s": sum((s.end - s.start).total_seconds() for s in spans),
                    "is_hours_known": self.opening.on(hour.local_hour.date()) is not None,
                }
            )
            self.lake["site_open_spans"] += [
                {**key, "open_from_utc": span.start, "open_to_utc": span.end} for span in spans
            ]

    def unit(self, unit_id: str, *, is_linked: bool = True, doors: int = 1) -> None:
        """Add a unit, its tenancy and area, its doors (only the first is seen) and its link."""
        key = {"site_id": self.site_id, "unit_id": unit_id}
        lake = self.lake
        lake["space_unit"].append({**key, "floor": "0", "name": None})
        lake["space_area"].append({**key, "gla_m2": 120.0, "selling_m2": 80.0, **ALWAYS})
        lake["space_tenancy"].append(
            {**key, "tenant_id": "T1", "operator_id": "OP1", "category": "fashion", **ALWAYS}
        )
        for n in range(doors):
            line = {"line_id": f"{unit_id}-door{n}", "role": "entrance", "geometry_version": "g1"}
            lake["space_line"].append({**key, **line, **ALWAYS})
        self.sees(f"cam-{unit_id}", "line", f"{unit_id}-door0")
        if is_linked:
            lake["space_link"].append(
                {**key, "connector_id": "pos", "ext_ref_code": unit_id, **ALWAYS}
            )

    def sees(self, camera_id: str, kind: str, what: str) -> None:
        """Let a camera see a line or a zone; a camera comes with the first that it sees."""
        camera = {"camera_id": camera_id, "camera_version": "c1"}
        if camera_id not in {row["camera_id"] for row in self.lake["space_camera"]}:
            self.lake["space_camera"].append({"site_id": self.site_id, **camera, **ALWAYS})
        seen = {"camera_id": camera_id, "sees_kind": kind, "sees_id": what}
        self.lake["space_camera_sees"].append({"site_id": self.site_id, **seen, **ALWAYS})

    def chunks(self, camera_id: str, first: str, until: str, minutes: int = 5) -> None:
        """Add complete chunks of some minutes, one after the other."""
        start, end = self.at(first), self.at(until)
        while start < end:
            self._covers("camera", camera_id, str(start), start, start + minutes * MINUTE)
            start += minutes * MINUTE

    def asked(
        self, code: str, first: str, until: str, fetched: str, *, refused: str | None = None
    ) -> None:
        """Add what the feed covered with one answer, or why it refused."""
        start, end = self.at(first), self.at(until)
        self._covers("feed", "pos", code, start, end, fetched=self.at(fetched), refused=refused)

    def tickets(self, code: str, hour: str, count: int, fetched: str, **more: Any) -> None:
        """Add one row of a revision of an hour's tickets; `more` are amounts and category."""
        self.lake["ticket_hours"].append(
            {
                "connector_id": "pos",
                "ext_ref_code": code,
                "hour_start_utc": hour_start_utc(self.at(hour), self.zone),
                "utc_offset_s": 0,
                "num_tickets": count,
                "fetched_at_utc": self.at(fetched),
                "raw_sha256": f"{code}{fetched}",
                "row_number": 0,
                **more,
            }
        )

    def refused(self, code: str, fetched: str) -> None:
        """Add one ticket row that was refused when it came."""
        self.lake["quarantine"].append(
            {
                "source": "tickets:pos",
                "code": code,
                "message": code,
                "raw_sha256": fetched,
                "row_number": 0,
                "raw_value": None,
                "first_seen_utc": self.at(fetched),
            }
        )

    def ticket(
        self,
        code: str,
        ticket_id: str,
        hour: str,
        kind: str,
        lines: Sequence[tuple[str | None, str]],
        fetched: str,
    ) -> None:
        """Add one revision of a ticket; its lines are (category, net) of one piece each."""
        key = {"connector_id": "pos", "ext_ref_code": code, "ticket_id": ticket_id}
        revision = {"fetched_at_utc": self.at(fetched), "raw_sha256": f"{code}{fetched}"}
        nets = [Decimal(net) for _, net in lines]
        self.lake["tickets"].append(
            {
                **key,
                **revision,
                "at_utc": self.at(hour),
                "hour_start_utc": hour_start_utc(self.at(hour), self.zone),
                "utc_offset_s": 0,
                "kind": kind,
                "currency": "EUR",
                "tax_included": True,
                "net": sum(nets),
                "line_count": len(lines),
                "row_number": 0,
            }
        )
        for n, ((category, _), net) in enumerate(zip(lines, nets, strict=True)):
            self.lake["ticket_lines"].append(
                {
                    **key,
                    **revision,
                    "line_no": n,
                    "category": category,
                    "quantity": Decimal(1).copy_sign(net),
                    "net": net,
                    "is_gift_card": False,
                    "row_number": n,
                }
            )

    def crossings(
        self, unit_id: str, hour: str, count: int, direction: str = "in", line: str = "door0"
    ) -> None:
        """Add crossings of a line of the unit, spread over ten minutes from `hour` on."""
        for n in range(count):
            at = self.at(hour) + n * 10 * MINUTE / count
            self.lake["line_crossings"].append(
                {
                    "site_id": self.site_id,
                    "unit_id": unit_id,
                    "line_id": f"{unit_id}-{line}",
                    "tracklet_id": f"{unit_id}-{at.isoformat()}-{direction}",
                    "at_utc": at,
                    "direction": direction,
                    "x_m": 0.0,
                    "y_m": 0.0,
                    "hour_start_utc": hour_start_utc(at, self.zone),
                    "rule_version": 1,
                    "geometry_version": "g1",
                }
            )

    def affected(self, unit_id: str, *hours: str) -> list[Row]:
        """Give affected hours of a unit; without hours, all of the calendar."""
        starts = [hour_start_utc(self.at(hour), self.zone) for hour in hours]
        every = [row["hour_start_utc"] for row in self.lake["site_hours"]]
        return [
            {
                "site_id": self.site_id,
                "unit_id": unit_id,
                "hour_start_utc": start,
                "cause": "test",
                "seq": 1,
            }
            for start in starts or every
        ]

    def _covers(
        self,
        kind: str,
        source_id: str,
        key: str,
        start: datetime,
        end: datetime,
        *,
        fetched: datetime | None = None,
        refused: str | None = None,
    ) -> None:
        expected = (end - start).total_seconds()
        self.lake["coverage"].append(
            {
                "site_id": self.site_id if kind == "camera" else None,
                "source_kind": kind,
                "source_id": source_id,
                "key": key,
                "from_utc": start,
                "to_utc": end,
                "status": "refused" if refused else "complete",
                "reason": refused,
                "observed_s": 0.0 if refused else expected,
                "expected_s": expected,
                "fetched_at_utc": fetched,
            }
        )
