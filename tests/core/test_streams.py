"""Counting part by part gives what counting all at once gives."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksi_pipeline.core import streams
from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.events import Events, count_events, find
from ksi_pipeline.core.plan import CountingRules, LineShape, SitePlan, ZoneShape
from ksi_pipeline.core.streams import RowError, Unsorted, count_part, joined_up

from .test_equals_oracle import START, sites


def counting(plan):
    """Count whole tracklets by one plan."""

    def count(samples):
        return [
            find(of_camera.walk(), camera_id, [(None, None, plan)])
            for _, camera_id, _, of_camera in samples.by_camera()
        ]

    return count


ORDER = [(name, "ascending") for name in ("site_id", "camera_id", "tracklet_id", "ts_utc")]


def in_parts(table: pa.Table, cuts: list[int], count):
    borders = sorted({0, table.num_rows, *(cut % (table.num_rows + 1) for cut in cuts)})
    parts = [
        count_part([table.slice(low, high - low)], low, count)
        for low, high in zip(borders, borders[1:], strict=False)
    ]
    found = Events.joined(joined_up(parts, count)).plain()
    return found.visits, found.line_crossings


@settings(max_examples=200, deadline=None)
@given(sites(), st.lists(st.integers(0, 200), max_size=12))
def test_cutting_a_stream_anywhere_changes_nothing(site, cuts):
    table, plan = site
    table = table.sort_by(ORDER)
    count = counting(plan)
    whole = count_events(table, plan)
    assert in_parts(table, cuts, count) == (whole.visits, whole.line_crossings)


@settings(max_examples=50, deadline=None)
@given(sites())
def test_every_row_a_part_of_its_own_changes_nothing(site):
    table, plan = site
    table = table.sort_by(ORDER)
    count = counting(plan)
    whole = count_events(table, plan)
    cuts = list(range(table.num_rows))
    assert in_parts(table, cuts, count) == (whole.visits, whole.line_crossings)


@settings(max_examples=100, deadline=None)
@given(sites(), st.lists(st.integers(0, 200), max_size=9), st.integers(1, 9))
def test_reading_parts_in_pieces_changes_nothing(site, cuts, size):
    table, plan = site
    table = table.sort_by(ORDER)
    count = counting(plan)
    whole = count_events(table, plan)
    borders = sorted({0, table.num_rows, *(cut % (table.num_rows + 1) for cut in cuts)})
    parts = [
        count_part(
            (table.slice(i, min(size, high - i)) for i in range(low, high, size)), low, count
        )
        for low, high in zip(borders, borders[1:], strict=False)
    ]
    found = Events.joined(joined_up(parts, count)).plain()
    assert (found.visits, found.line_crossings) == (whole.visits, whole.line_crossings)


def points(*rows: tuple[str, str, float, float]) -> pa.Table:
    """Rows of (camera, tracklet, second, x)."""
    from ksi_pipeline.core.schemas import DATASETS

    listed = [
        {
            "site_id": "mall",
            "camera_id": camera,
            "tracklet_id": tracklet,
            "ts_utc": START + timedelta(seconds=second),
            "x_m": x,
            "y_m": 1.0,
            "confidence": None,
            "is_observed": True,
        }
        for camera, tracklet, second, x in rows
    ]
    return pa.Table.from_pylist(listed, schema=DATASETS["tracklet_points"])


def no_events(samples):
    return []


SQUARE = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0))
PLAN = SitePlan(
    "mall",
    ZoneInfo("UTC"),
    CountingRules(),
    (ZoneShape("z", "u", "selling", SQUARE),),
    tuple(
        LineShape(line_id, "u", "entrance", (x, -1.0), (x, 5.0), "left")
        for line_id, x in (("k", 2.0), ("l", 2.5))
    ),
    {"cam-1": frozenset({"z", "k", "l"})},
)
GOOD = [("cam-1", "a", 0, 1.0), ("cam-1", "a", 1, 1.0), ("cam-1", "b", 0, 1.0)]


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize(
    ("last", "error", "code"),
    [
        pytest.param(("cam-1", "b", -1, 1.0), Unsorted, "E_UNSORTED", id="earlier-instant"),
        pytest.param(("cam-1", "a", 2, 1.0), Unsorted, "E_UNSORTED", id="earlier-tracklet"),
        pytest.param(("cam-0", "c", 0, 1.0), Unsorted, "E_UNSORTED", id="earlier-camera"),
        pytest.param(("cam-1", "b", 0, 1.0), RowError, "E_REPEATED_SAMPLE", id="repeated"),
        pytest.param(("cam-1", "b", 1, np.nan), RowError, "E_NOT_FINITE", id="nan"),
        pytest.param(("cam-1", "b", 1, np.inf), RowError, "E_NOT_FINITE", id="infinite"),
    ],
)
def test_a_row_that_breaks_the_stream_is_named_wherever_it_is_cut(cut, last, error, code):
    table = points(*GOOD, last)
    with pytest.raises(error) as caught:
        in_parts(table, [cut], no_events)
    assert (caught.value.code, caught.value.row) == (code, 3)


def test_what_counting_says_of_a_row_is_told_with_its_place_in_the_stream():
    def refuse(samples):
        names = [samples.keys[2].text(row) for row in range(len(samples))]
        if "b" in names:
            raise RowError("no", code="E_UNKNOWN_SITE", row=names.index("b"))
        return no_events(samples)

    rows = [*GOOD, ("cam-1", "c", 0, 1.0)]
    for cut in range(4):
        with pytest.raises(ContractError) as caught:
            in_parts(points(*rows), [cut], refuse)
        assert caught.value.row == 2


def test_null_metres_are_no_fault():
    table = points(*GOOD)
    nulls = pa.array([None] * 3, pa.float64())
    table = table.set_column(4, table.schema.field("x_m"), nulls)
    assert in_parts(table, [1], no_events)[0].num_rows == 0


def test_many_tracklets_at_borders_are_not_all_kept(monkeypatch):
    monkeypatch.setattr(streams, "_MOST_CARRIED", 2)
    rows = [("cam-1", f"t{i}", second, 1.0) for i in range(9) for second in (0, 1)]
    table, sizes = points(*rows), []

    def count(whole):
        sizes.append(len(whole))
        return no_events(whole)

    in_parts(table, list(range(0, 18, 2)), count)
    assert sum(sizes) == 18
    assert max(sizes) == 4


def test_a_sample_that_comes_twice_is_found_beyond_unknown_ones_wherever_it_is_cut():
    rows = [("cam-1", "a", 0, 1.0), ("cam-1", "a", 1, 1.0), *[("cam-1", "a", 1, None)] * 2]
    table = points(*rows, ("cam-1", "a", 1, 3.0), ("cam-1", "a", 2, 3.0))
    for cuts in ([], [1], [2], [3], [4], [2, 3], [2, 3, 4], [1, 2, 3, 4, 5]):
        with pytest.raises(RowError) as caught:
            in_parts(table, cuts, no_events)
        assert (caught.value.code, caught.value.row) == ("E_REPEATED_SAMPLE", 4)


def test_a_dictionary_that_has_a_text_twice_changes_nothing():
    table, plan = points(*GOOD), PLAN
    twice = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), ["a", "a", "b"])
    odd = table.set_column(2, "tracklet_id", twice)
    assert in_parts(odd, [], counting(plan)) == in_parts(table, [], counting(plan))
    assert in_parts(table, [], counting(plan))[0].num_rows == 1


def test_a_long_tracklet_to_and_fro_over_two_lines_is_counted_in_the_order_of_time():
    count = 20_000
    table = points(*[("cam-1", "a", k, 1.0 + 2.0 * (k % 2)) for k in range(count)])
    found = in_parts(table, [], counting(PLAN))[1]
    assert found.num_rows == 2 * (count - 1)
    assert found["at_utc"].to_pylist() == sorted(found["at_utc"].to_pylist())
