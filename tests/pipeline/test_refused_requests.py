"""What a feed refuses for good keeps it from being asked for nothing else."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.sandbox.pos_api import Fault, PosApi

from .homes import SPACE, TOKEN
from .test_sync import Shop, entry

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = datetime(2026, 4, 19, 22, tzinfo=UTC)
ROWS = [
    {"time": (FIRST + n * HOUR).isoformat(), "ext_ref_code": code, "num_tickets": n % 7}
    for n in range(24 * 50)
    for code in ("0001", "0009")
]
SINCE = "    since: 2026-04-20\n    parallel_requests: 1\n"


class ForgetfulApi(PosApi):
    """A till that answers 410 where a request holds hours that it no longer keeps."""

    keeps_from = datetime(2026, 5, 5, tzinfo=UTC)
    keeps_to = datetime(2100, 1, 1, tzinfo=UTC)
    refused_code = ""

    def answer(self, target: bytes, headers: Mapping[str, str]) -> Fault:
        answered = super().answer(target, headers)
        query = parse_qs(target.decode().partition("?")[2])
        start, end = (datetime.fromisoformat(query[name][0]) for name in ("fromTime", "toTime"))
        is_refused = start < self.keeps_from or end > self.keeps_to
        if is_refused or self.refused_code in query["ext_ref_codes"]:
            return Fault(status=410)
        return answered


@pytest.fixture
def open_shop(shop) -> Iterator:
    with ForgetfulApi(ROWS, token=TOKEN) as api:
        yield lambda settings=SINCE: Shop(shop(), api, settings)


def on_the_fourth_of_june(till: Shop) -> None:
    """May has become final, so it is asked once more; its first days are no longer kept."""
    till.now = datetime(2026, 6, 3, 23, 5, tzinfo=UTC)


def test_a_month_whose_first_days_are_refused_leaves_younger_hours_answered(open_shop):
    till = open_shop()
    on_the_fourth_of_june(till)
    refused = till.tick().failed["pos-main"]
    assert refused.startswith("E_FEED_REFUSED")
    for _ in range(5):
        till.tick()
    assert till.lacking(datetime(2026, 5, 7, 22, tzinfo=UTC)) == set()


def test_what_is_refused_for_good_costs_a_tick_no_more_than_its_catching_up(open_shop):
    till = open_shop()
    on_the_fourth_of_june(till)
    till.tick()
    till.asked()
    till.tick()
    due, *missed = till.asked()
    assert due[1] == till.now.replace(minute=0)
    assert all(start < ForgetfulApi.keeps_from for start, _, _ in missed)


def test_hours_that_were_missed_are_asked_for_though_the_month_fails(open_shop):
    till = open_shop("    since: 2026-05-20\n    parallel_requests: 1\n")
    on_the_fourth_of_june(till)
    till.api.keeps_from = datetime(2026, 5, 21, tzinfo=UTC)
    till.tick()
    late = '  - {connector: pos-main, ext_ref_code: "0009", unit: "0001", from: 2026-05-28}\n'
    (till.home / "spaces" / "shop.yaml").write_text(SPACE + late)
    load_spaces(till.workspace)
    till.tick()
    assert till.lacking(datetime(2026, 5, 28, tzinfo=UTC), "0009") == set()


def test_three_failures_in_a_row_end_the_asking_of_a_tick(open_shop):
    till = open_shop()
    on_the_fourth_of_june(till)
    till.api.keeps_to = ForgetfulApi.keeps_from
    till.tick()
    assert len(till.asked()) == 3


def test_a_site_that_is_refused_leaves_the_other_sites_asked(open_shop):
    till = open_shop()
    other = SPACE.replace("id: shop", "id: other").replace('"0001"', '"0009"')
    (till.home / "spaces" / "a.yaml").write_text(other)
    load_spaces(till.workspace)
    till.api.refused_code = "0009"
    till.tick()
    assert till.lacking(till.now.replace(minute=0) - 3 * DAY) == set()


def test_a_connector_without_a_token_is_tried_for_one_site_only(open_shop):
    till = open_shop()
    other = SPACE.replace("id: shop", "id: other").replace('"0001"', '"0009"')
    (till.home / "spaces" / "a.yaml").write_text(other)
    load_spaces(till.workspace)
    till.connect(entry("pos-main", till.api, SINCE).replace("KSI_POS_MAIN_TOKEN", "NOT_SET"))
    assert "pos-main" in till.tick().failed
    sites = {row["site_id"] for row in till.workspace.store.read("coverage").to_pylist()}
    assert len(sites) == 1
