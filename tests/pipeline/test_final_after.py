"""Until when an hour of a connector is provisional: set, learned, or the same for all."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.final_after import (
    final_after_by_connector,
    final_after_of,
    note_final_after,
)
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.store.tables import AFFECTED_HOURS

from .homes import TOKEN, build_mart, query_build
from .test_sync import NOON, ROWS, START, Shop

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SINCE = "    since: 2026-05-10\n"


@pytest.fixture
def open_shop(shop):
    with PosApi(ROWS, token=TOKEN) as api:
        yield lambda settings=SINCE: Shop(shop(), api, settings)


def set_final_after(till: Shop, hours: int) -> None:
    path = till.home / "connectors.yaml"
    path.write_text(path.read_text() + f"    final_after_h: {hours}\n")


def affected(till: Shop) -> int:
    return len(till.workspace.store.ledger.rows(select(AFFECTED_HOURS)))


def learn_from_changes(till: Shop) -> None:
    """Let every hour change after its first answer, and let some days pass."""
    till.tick()
    till.api.replace_rows([{**row, "num_tickets": row["num_tickets"] + 1} for row in ROWS])
    till.tick(DAY)
    till.tick(DAY)


def test_what_is_set_wins_over_what_was_learned_and_that_over_the_setting_of_all(open_shop):
    till = open_shop()
    assert final_after_of(till.workspace, "pos-main") == 72 * HOUR
    learn_from_changes(till)
    # seen when the seven days were asked, the last of them a day younger when asked before
    assert final_after_of(till.workspace, "pos-main") == 6 * DAY
    set_final_after(till, 24)
    assert final_after_of(till.workspace, "pos-main") == 24 * HOUR


def test_a_learned_lateness_widens_what_is_asked_at_each_tick(open_shop):
    till = open_shop()
    learn_from_changes(till)
    till.asked()
    till.tick()
    first = min(start for start, _, _ in till.asked())
    assert first == till.now.replace(minute=0) - 6 * DAY - HOUR


def test_an_outage_of_the_machine_that_asks_is_not_learned_as_lateness_of_the_feed(open_shop):
    till = open_shop()
    till.tick(-5 * DAY)
    till.api.replace_rows([{**row, "num_tickets": row["num_tickets"] + 1} for row in ROWS])
    till.tick(5 * DAY, also=Window(START, NOON))
    till.tick(DAY)
    changed = till.workspace.store.read("ticket_hours").num_rows - len(till.complete())
    assert changed > 100
    assert final_after_of(till.workspace, "pos-main") == 72 * HOUR


def test_a_new_value_touches_hours_that_were_not_final_and_holds_for_these_only(open_shop):
    till = open_shop()
    till.tick()
    note_final_after(till.workspace)
    assert final_after_by_connector(till.workspace) == {}
    before = affected(till)
    set_final_after(till, 120)
    note_final_after(till.workspace)
    touched = affected(till) - before
    assert 120 <= touched <= 122
    assert final_after_by_connector(till.workspace) == {
        "pos-main": [
            {"from_utc": f"{till.now - 72 * HOUR:%Y-%m-%d %H:%M:%S}", "seconds": 120 * 3600},
            {"from_utc": None, "seconds": 72 * 3600},
        ]
    }
    note_final_after(till.workspace)
    assert affected(till) - before == touched


@pytest.mark.slow
def test_the_marts_say_provisional_for_as_long_as_the_connector_says(open_shop, dbt):
    till = open_shop(SINCE + "    final_after_h: 24\n")
    till.tick(0 * HOUR)
    build_mart(till.workspace, dbt, "fct_conversion_hourly")
    provisional = query_build(
        till.workspace,
        "select min(hour_start_utc), count(*) from marts.fct_conversion_hourly "
        "where is_provisional and ticket_count is not null",
    )
    # hours that ended less than 24 hours before 12:05
    assert provisional == [((NOON - 24 * HOUR).replace(minute=0, tzinfo=None), 24)]
