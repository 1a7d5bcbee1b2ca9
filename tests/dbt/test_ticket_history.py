"""A restated hour reads the tickets of other hours from the file and computes nothing of them."""

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from .cases import NINE, sao_paulo

pytestmark = pytest.mark.slow

OTHERS = 20_000
# what each has beside the key of a revision
TABLES = {
    "tickets": "timestamptz '2010-01-01' + to_hours(n::int) as hour_start_utc, 'sale' as kind",
    "ticket_lines": "'shoes' as category, 1 as quantity, false as is_gift_card",
}
SCANS = ("TABLE_SCAN", "SEQ_SCAN", "PROJECTION")


@pytest.fixture
def restated(built, tmp_path, dbt):
    """Select of each incremental model of tickets for one hour, beside many tickets of 2010."""
    path = tmp_path / "build.duckdb"
    path.write_bytes(built.read_bytes())
    with duckdb.connect(str(path)) as con:
        con.execute("set TimeZone = 'UTC'")
        for table, columns in TABLES.items():
            con.execute(
                f"insert into lake.{table} by name "
                "select 'pos' as connector_id, 'other' as ext_ref_code, 't' || n as ticket_id, "
                "timestamptz '2010-01-02' + to_hours(n::int) as fetched_at_utc, "
                f"'r' || n as raw_sha256, 10 as net, {columns} from range({OTHERS}) as numbers(n)"
            )
        hour = sao_paulo().affected("lined", NINE)[0]["hour_start_utc"]
        con.execute(
            "insert into lake.affected_hours by name select 'sp' as site_id, 'lined' as unit_id, "
            "? as hour_start_utc, 'test' as cause, 1 as seq",
            [hour],
        )
    done = dbt(path, "run", "--select", "stg_ticket_lines+,+fct_zone_sales_hourly")
    return path, {
        each.node.name: each.node.compiled_code
        for each in done.result
        if each.node.config.materialized == "incremental"
    }


def _operators(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        yield from _operators(step.get("children", []))


def test_a_restated_hour_computes_nothing_of_the_tickets_of_other_hours(restated):
    path, selects = restated
    assert {"fct_category_sales_hourly", "fct_zone_sales_hourly"} < set(selects)
    with duckdb.connect(str(path), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        for name, select in selects.items():
            plan = con.execute(f"explain (analyze, format json) {select}").fetchall()[0][1]
            steps = [
                (each["type"], each["intermediate_rows"])
                for each in _operators(json.loads(plan)["operator"])
                if each["type"] not in SCANS
            ]
            assert steps, name
            assert max(rows for _, rows in steps) < OTHERS, (name, steps)
