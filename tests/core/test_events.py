"""The counting rule, case by case, on walks small enough to check by hand."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.events import count_events
from ksi_pipeline.core.occupancy import zone_occupancy
from ksi_pipeline.core.plan import CountingRules, LineShape, SitePlan, ZoneShape
from ksi_pipeline.core.schemas import DATASETS

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PURE = CountingRules()
SQUARE = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0))
POINTS = DATASETS["tracklet_points"]


def walk(*xy: tuple[float, float], tracklet: str = "t1", step_s: float = 1.0) -> list[dict]:
    return [
        {
            "site_id": "mall",
            "camera_id": "cam-1",
            "tracklet_id": tracklet,
            "ts_utc": START + timedelta(seconds=i * step_s),
            "x_m": x,
            "y_m": y,
            "confidence": 1.0,
            "is_observed": True,
        }
        for i, (x, y) in enumerate(xy)
    ]


def later(rows: list[dict], seconds: float) -> list[dict]:
    return [{**row, "ts_utc": row["ts_utc"] + timedelta(seconds=seconds)} for row in rows]


def count(*walks: list[dict], rules: CountingRules = PURE, **zone: datetime):
    plan = SitePlan(
        site_id="mall",
        zone_info=ZoneInfo("Europe/Madrid"),
        rules=rules,
        zones=(ZoneShape("shelf", "0001", "selling", SQUARE, **zone),),
        lines=(LineShape("door", "0001", "entrance", (0.0, 0.0), (10.0, 0.0), "left"),),
        sees={"cam-1": frozenset({"shelf", "door"})},
    )
    rows = [row for one in walks for row in one]
    return count_events(pa.Table.from_pylist(rows, schema=POINTS), plan)


def directions(*ys: float, **kwargs) -> list[str]:
    events = count(walk(*[(5.0, y) for y in ys]), **kwargs)
    return events.line_crossings["direction"].to_pylist()


def dwells(*xs: float, **kwargs) -> list[float]:
    return count(walk(*[(x, 1.0) for x in xs]), **kwargs).visits["dwell_s"].to_pylist()


def test_a_walk_through_a_zone_between_two_samples_is_a_visit():
    assert dwells(-1.0, 3.0) == [0.5]


def test_a_walk_that_touches_a_corner_is_no_visit():
    events = count(walk((-1.0, 1.0), (1.0, 3.0)))
    assert events.visits.num_rows == 0


def test_entry_and_exit_are_where_the_walk_meets_the_boundary():
    (visit,) = count(walk((-1.0, 1.0), (1.0, 1.0), (3.0, 1.0))).visits.to_pylist()
    assert visit["entered_at_utc"] == START + timedelta(seconds=0.5)
    assert visit["left_at_utc"] == START + timedelta(seconds=1.5)
    assert not visit["is_start_censored"]
    assert not visit["is_end_censored"]


def test_a_tracklet_that_begins_and_ends_inside_is_censored_at_both_ends():
    (visit,) = count(walk((1.0, 1.0), (1.5, 1.0))).visits.to_pylist()
    assert (visit["is_start_censored"], visit["is_end_censored"]) == (True, True)


def test_a_gap_longer_than_max_gap_is_not_interpolated():
    assert dwells(-1.0, 3.0, rules=CountingRules(max_gap_s=0.9)) == []


def test_a_gap_inside_a_zone_ends_one_visit_and_begins_another_both_censored():
    rows = walk((1, 1), (1, 1)) + later(walk((1, 1), (1, 1)), seconds=60)
    visits = count(rows).visits.to_pylist()
    assert [v["dwell_s"] for v in visits] == [1.0, 1.0]
    assert [v["is_end_censored"] for v in visits] == [True, True]


def test_exit_inertia_joins_visits_that_are_close_together():
    path = (-1.0, 1.0, 3.0, 1.0, -1.0)
    assert len(dwells(*path)) == 2
    assert dwells(*path, rules=CountingRules(exit_inertia_s=1.5)) == [3.0]


def test_a_zone_that_ceases_to_be_valid_cuts_the_visit_there():
    end = START + timedelta(seconds=1)
    (visit,) = count(walk((1, 1), (1, 1), (1, 1)), valid_to=end).visits.to_pylist()
    assert visit["left_at_utc"] == end
    assert visit["is_end_censored"]


def test_going_in_and_out_counts_both_ways():
    assert directions(-2, 2, -2) == ["in", "out"]


def test_stepping_onto_the_line_and_back_is_no_crossing():
    assert directions(-2, 0, -2) == []


def test_pausing_on_the_line_counts_once_when_the_person_goes_through():
    assert directions(-2, 0, 0, 2) == ["in"]


def test_a_tracklet_that_begins_on_the_line_takes_the_side_it_goes_to():
    assert directions(0, 2, 2) == []


def test_a_hit_at_the_start_of_the_line_counts_and_at_its_end_does_not():
    def at(x: float) -> int:
        return count(walk((x, -1.0), (x, 1.0))).line_crossings.num_rows

    assert (at(0.0), at(10.0)) == (1, 0)


def test_golden_f2_a_flicker_of_one_sample_counts_nothing_when_two_must_confirm():
    flicker = (-1, -1, -1, 1, -1, -1, -1)
    assert directions(*flicker, rules=CountingRules(confirm_samples=2)) == []
    assert directions(*flicker) == ["in", "out"]


def test_a_confirmed_crossing_keeps_the_instant_of_the_first_sample_on_the_new_side():
    events = count(
        walk((5, -1), (5, 1), (5, 1)), rules=CountingRules(confirm_samples=2)
    ).line_crossings
    assert events["at_utc"].to_pylist() == [START + timedelta(seconds=0.5)]


def test_an_entry_that_turns_back_too_soon_is_dropped_with_its_exit():
    assert directions(-2, 2, -2, rules=CountingRules(min_inside_s=1.5)) == []
    assert directions(-2, 2, 2, -2, rules=CountingRules(min_inside_s=1.5)) == ["in", "out"]


def test_a_camera_counts_only_what_it_sees():
    rows = walk((5, -2), (5, 2))
    for row in rows:
        row["camera_id"] = "cam-2"
    assert count(rows).line_crossings.num_rows == 0


def test_two_samples_at_one_instant_are_refused_by_name():
    rows = walk((5, -2), (5, 2))
    rows[1]["ts_utc"] = rows[0]["ts_utc"]
    with pytest.raises(ContractError, match="'t1', sample at 2026-03-02T09:00:00") as caught:
        count(rows)
    assert caught.value.code == "E_REPEATED_SAMPLE"


def test_a_position_that_is_no_number_is_refused():
    with pytest.raises(ContractError) as caught:
        count(walk((5, float("nan")), (5, 2)))
    assert caught.value.code == "E_NOT_FINITE"


def test_points_of_another_site_are_refused():
    rows = walk((5, -2), (5, 2))
    rows[0]["site_id"] = "elsewhere"
    with pytest.raises(ContractError) as caught:
        count(rows)
    assert caught.value.code == "E_UNKNOWN_SITE"


def test_no_points_give_no_events():
    events = count()
    assert (events.visits.num_rows, events.line_crossings.num_rows) == (0, 0)


def test_person_seconds_of_the_minutes_add_up_to_the_dwell():
    visits = count(
        walk(*[(1.0, 1.0)] * 100, tracklet="a"), walk(*[(1.0, 1.0)] * 40, tracklet="b")
    ).visits
    rows = zone_occupancy(visits, ZoneInfo("Europe/Madrid")).to_pylist()
    assert [row["person_seconds"] for row in rows] == [99.0, 39.0]
    assert [row["max_occupancy"] for row in rows] == [2, 1]
    assert [row["distinct_count"] for row in rows] == [2, 1]
    assert sum(row["person_seconds"] for row in rows) == sum(visits["dwell_s"].to_pylist())


def test_who_leaves_and_who_comes_at_one_instant_are_never_together():
    visits = count(
        walk((1, 1), (1, 1), tracklet="a"),
        later(walk((1, 1), (1, 1), tracklet="b"), seconds=1),
    ).visits
    (row,) = zone_occupancy(visits, ZoneInfo("UTC")).to_pylist()
    assert row["max_occupancy"] == 1
