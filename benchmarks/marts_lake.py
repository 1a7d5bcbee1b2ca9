"""A year of malls as a lake on disk, for benchmarks/marts.py: Parquet files and views over them.

Everything follows from the numbers of sites, units and days, so that two runs read the same rows.
Every ticket hour is asked for twice: the first answer lacks a ticket, the second is final.

What every mall has now and then is there in a small share: days on which a camera sent nothing, a
chunk that gives no frame or only some, days on which the feed refused, a site that is closed, a
last day that is not final, a unit whose till sends no amounts, and one whose code changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from ksi_pipeline.core.schemas import DATASETS, LEDGER_VIEWS

UNITS = 20  # of each site
FIRST_DAY = "2025-01-01"
RECIPE = 3  # a new number makes a kept lake again
OPENS, CLOSES = 9, 23
CLOSED_DAYS = "(59, 149, 239, 329)"
WITHOUT_AMOUNTS, RELINKED = "'0003'", "'0004'"
ASKED = "timestamptz '2026-06-01 00:00:00+00'"
MOVED = "timestamptz '2025-07-01 00:00:00+00'"


@dataclass(frozen=True, slots=True)
class Lake:
    """Where the rows lie, and how many there are."""

    folder: Path
    sites: int
    days: int

    def rows(self) -> dict[str, int]:
        """Count the rows of the large datasets."""
        with duckdb.connect() as con:
            return {
                name: con.execute(
                    f"select count(*) from read_parquet('{self.folder}/{name}/*.parquet')"
                ).fetchone()[0]
                for name in ("visits", "line_crossings", "zone_occupancy", "ticket_hours")
            }

    def register(self, build_db: Path, affected: str = "true") -> None:
        """Show the lake to dbt; hours of the calendar that meet the condition are affected."""
        with duckdb.connect(str(build_db)) as con:
            con.execute("set TimeZone = 'UTC'")
            con.execute("create schema if not exists lake")
            for name, schema in {**DATASETS, **LEDGER_VIEWS}.items():
                files = sorted((self.folder / name).glob("*.parquet"))
                if files and self.days:
                    listed = ", ".join(f"'{path}'" for path in files)
                    con.execute(
                        f"create or replace view lake.{name} as "
                        f"select {', '.join(schema.names)} from read_parquet([{listed}])"
                    )
                else:
                    con.register("nothing", schema.empty_table())
                    con.execute(f"create or replace table lake.{name} as select * from nothing")
                    con.unregister("nothing")
            con.execute(
                "insert into lake.affected_hours by name "
                "select site_id, unit_id, hour_start_utc, 'benchmark' as cause, 1 as seq "
                "from lake.site_hours "
                "join (select site_id, unit_id from lake.space_unit "
                "union select distinct site_id, '_common' from lake.space_unit) using (site_id) "
                f"where {affected}"
            )


def make_lake(folder: Path, sites: int, days: int) -> Lake:
    """Write the lake, unless it stands there from an earlier run."""
    lake = Lake(folder, sites, days)
    done = folder / f"made-{sites}-{days}-{RECIPE}"
    if done.exists():
        return lake
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("set preserve_insertion_order = true")
        _spine(con, sites, days)
        for name, sql in _DATASETS.items():
            target = folder / name
            target.mkdir(parents=True, exist_ok=True)
            schema = DATASETS[name]
            con.execute(f"create or replace temp table made as {sql}")
            con.register("nothing", schema.empty_table())
            con.execute(
                f"copy (select * from nothing union all by name select * from made) "
                f"to '{target}/{name}-0.parquet' (format parquet, compression zstd)"
            )
            con.unregister("nothing")
        con.execute("drop table made")
    done.touch()
    return lake


def _spine(con: duckdb.DuckDBPyConnection, sites: int, days: int) -> None:
    con.execute(
        "create temp table units as "
        "select printf('mall%02d', s) as site_id, printf('%04d', u) as unit_id, s * 100 + u as n "
        f"from range({sites}) sites (s), range({UNITS}) units (u)"
    )
    con.execute(
        "create temp table hours as select * from (select distinct site_id from units), ("
        f"select timestamptz '{FIRST_DAY} 00:00:00+00' + to_hours(h) as hour_start_utc, h "
        f"from range({days} * 24) hours (h))"
    )
    con.execute(
        f"create temp macro is_open(h) as h % 24 >= {OPENS} and h % 24 < {CLOSES} "
        f"and h // 24 not in {CLOSED_DAYS}"
    )
    # one of so many camera-days or feed-days of a unit is such a day
    con.execute("create temp macro is_day(n, h, day, of) as (n * 13 + h // 24) % of = day")
    con.execute(
        "create temp macro code(site_id, unit_id, told) as site_id || unit_id || "
        f"case when unit_id = {RELINKED} and told >= {MOVED} then 'b' else '' end"
    )
    # what people do in an hour: hash-made, so that any order of rows is the same
    con.execute(
        "create temp table busy as select site_id, unit_id, hour_start_utc, "
        "(hash(n, h) % 9)::int + 1 as visit_count, (hash(h, n) % 5)::int as entry_count "
        "from units join hours using (site_id) where is_open(h)"
    )


_ALWAYS = "null::timestamptz as valid_from_utc, null::timestamptz as valid_to_utc"
_VERSIONS = "1 as rule_version, 'g1' as geometry_version"
_TICKETS = f"""
    select 'pos' as connector_id, code(site_id, unit_id, hour_start_utc) as ext_ref_code,
        hour_start_utc,
        0 as utc_offset_s, category, ticket_count * share - late as num_tickets,
        0 as num_returns, amount as gross_sales,
        amount * 0 as returns_amount, amount as net_sales,
        (ticket_count * share - late) * 2 as units,
        case when amount is not null then 'EUR' end as currency,
        case when amount is not null then false end as tax_included,
        hour_start_utc + to_hours(case when late = 1 then 1 else 200 end) as fetched_at_utc,
        'raw' || late as raw_sha256, row_number
    from (select *, visit_count + 3 as ticket_count from busy),
        (values (1, null, 0), (1, 'women', 1), (1, 'men', 2), (1, 'kids', 3), (1, 'shoes', 4))
            kinds (share, category, row_number),
        (values (1), (0)) answers (late),
        lateral (select case when unit_id <> {WITHOUT_AMOUNTS}
            then (ticket_count * share - late) * 20 end as amount)
    order by hour_start_utc, ext_ref_code
"""
_DATASETS = {
    "space_site": (
        "select distinct site_id, site_id as name, 'UTC' as timezone, 'EUR' as currency, "
        "'00:00' as business_day_start, 'v1' as space_version from units"
    ),
    "space_unit": "select site_id, unit_id, '0' as floor, null as name from units",
    "space_area": (
        f"select site_id, unit_id, 120.0 as gla_m2, 80.0 as selling_m2, {_ALWAYS} from units"
    ),
    "space_tenancy": (
        "select site_id, unit_id, 'T' || unit_id as tenant_id, 'OP' || unit_id as operator_id, "
        f"'fashion' as category, {_ALWAYS} from units"
    ),
    "space_zone": (
        "select site_id, unit_id, 'floor-' || unit_id as zone_id, 'selling' as role, "
        "'g1' as geometry_version, 60.0::double as area_m2, null::varchar as polygon_wkt, "
        f"{_ALWAYS} from units"
    ),
    "space_zone_category": (
        "select site_id, unit_id, 'floor-' || unit_id as zone_id, category, "
        f"{_ALWAYS} from units, (values ('women'), ('men'), ('shoes')) shown (category)"
    ),
    "space_line": (
        "select site_id, unit_id, 'door-' || unit_id as line_id, 'entrance' as role, "
        f"'g1' as geometry_version, {_ALWAYS} from units"
    ),
    "space_camera": (
        "select site_id, 'cam-' || unit_id as camera_id, 'c1' as camera_version, "
        f"{_ALWAYS} from units"
    ),
    "space_camera_sees": (
        "select site_id, 'cam-' || unit_id as camera_id, kind as sees_kind, "
        f"name || unit_id as sees_id, {_ALWAYS} from units, "
        "(values ('zone', 'floor-'), ('line', 'door-')) seen (kind, name)"
    ),
    "space_link": (
        "select site_id, unit_id, 'pos' as connector_id, "
        "code(site_id, unit_id, coalesce(valid_from_utc, timestamptz '-infinity')) as ext_ref_code,"
        " valid_from_utc, valid_to_utc from units, "
        f"(values (null, null, false), (null, {MOVED}, true), ({MOVED}, null, true)) "
        "versions (valid_from_utc, valid_to_utc, is_moved) "
        f"where is_moved = (unit_id = {RELINKED})"
    ),
    "site_hours": (
        "select site_id, hour_start_utc, hour_start_utc as hour_from_utc, "
        "hour_start_utc + interval 1 hour as hour_end_utc, hour_start_utc::timestamp as local_hour,"
        " 0 as utc_offset_s, hour_start_utc::date as business_date, "
        "case when is_open(h) then 3600.0 else 0.0 end as open_s, "
        "true as is_hours_known from hours"
    ),
    "site_open_spans": (
        "select site_id, hour_start_utc, hour_start_utc as open_from_utc, "
        "hour_start_utc + interval 1 hour as open_to_utc from hours "
        "where is_open(h)"
    ),
    # a camera's day is one chunk, a feed's day one answer
    "coverage": (
        "select site_id, 'camera' as source_kind, 'cam-' || unit_id as source_id, "
        "'chunk' || h as key, hour_start_utc as from_utc, "
        "hour_start_utc + interval 1 day as to_utc, "
        "case when is_day(n, h, 1, 97) then 'unreadable' else 'complete' end as status, "
        "case when is_day(n, h, 1, 97) then 'chunk_unreadable' end as reason, "
        "case when is_day(n, h, 1, 97) then 0.0 when is_day(n, h, 2, 97) then 64800.0 "
        "else 86400.0 end as observed_s, 86400.0 as expected_s, "
        "null::timestamptz as fetched_at_utc "
        "from units join hours using (site_id) where h % 24 = 0 and not is_day(n, h, 0, 97) "
        "union all "
        "select null, 'feed', 'pos', code(site_id, unit_id, hour_start_utc), hour_start_utc, "
        "hour_start_utc + interval 1 day, "
        "case when is_day(n, h, 5, 89) then 'refused' else 'complete' end, "
        "case when is_day(n, h, 5, 89) then 'feed_refused' end, 86400.0, 86400.0, "
        "case when h >= max(h) over () then hour_start_utc + interval 1 day "
        f"else {ASKED} end "
        "from units join hours using (site_id) where h % 24 = 0"
    ),
    "visits": (
        "select site_id, unit_id, 'floor-' || unit_id as zone_id, "
        "unit_id || epoch_us(hour_start_utc) || '-' || n as tracklet_id, "
        "hour_start_utc + to_seconds(n * 300) as entered_at_utc, "
        "hour_start_utc + to_seconds(n * 300 + 30 + n * 7) as left_at_utc, "
        "30.0 + n * 7 as dwell_s, false as is_start_censored, false as is_end_censored, "
        f"hour_start_utc, {_VERSIONS} from (select *, unnest(range(visit_count)) as n from busy) "
        "order by hour_start_utc, site_id, unit_id"
    ),
    "line_crossings": (
        "select site_id, unit_id, 'door-' || unit_id as line_id, "
        "unit_id || epoch_us(hour_start_utc) || '-' || n as tracklet_id, "
        "hour_start_utc + to_seconds(n * 300) as at_utc, 'in' as direction, 0.0 as x_m, 0.0 as y_m,"
        f" hour_start_utc, {_VERSIONS} from (select *, unnest(range(entry_count)) as n from busy) "
        "order by hour_start_utc, site_id, unit_id"
    ),
    "zone_occupancy": (
        "select site_id, unit_id, 'floor-' || unit_id as zone_id, hour_start_utc as minute_utc, "
        "visit_count * 30.0 as person_seconds, 1 as max_occupancy, visit_count as distinct_count, "
        f"hour_start_utc, {_VERSIONS} from busy order by hour_start_utc, site_id, unit_id"
    ),
    "ticket_hours": _TICKETS,
}
