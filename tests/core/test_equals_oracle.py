"""Compiled counting gives what the plain rule in oracle.py gives, bit for bit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksi_pipeline.core import grid, tally
from ksi_pipeline.core.compiled import compiled
from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.events import count_events
from ksi_pipeline.core.geometry import inside_pieces
from ksi_pipeline.core.occupancy import zone_occupancy
from ksi_pipeline.core.plan import CountingRules, LineShape, SitePlan, ZoneShape
from ksi_pipeline.core.schemas import DATASETS

from . import oracle

START = datetime(2026, 3, 29, 0, 58, tzinfo=UTC)  # two minutes before the clocks change
MADRID = ZoneInfo("Europe/Madrid")

STEPS_US = [500_000, 1_000_000, 1_000_000, 333_333, 1, 1_000_001, 60_000_000]


def places(random: np.random.Generator, count: int, kind: str) -> list[tuple[float, float]]:
    """Points on a lattice, where all edges, vertices and lines are met, or all over the place."""
    spots = random.integers(0, 5, (count, 2)).astype(float)
    if kind == "any":
        # what cancellation and the raster's margin would get wrong first
        ulps = spots + random.integers(-3, 4, (count, 2)) * 2.0**-50
        free, far = random.uniform(-1, 5, (count, 2)), random.uniform(-1e3, 1e3, (count, 2))
        kinds = np.stack([spots, spots, ulps, free, free, far])
        spots = np.take_along_axis(kinds, random.integers(0, 6, (1, count, 2)), axis=0)[0]
    return [(float(x), float(y)) for x, y in spots]


def some_instant(random: np.random.Generator) -> datetime | None:
    after_s = float(random.uniform(0, 40))
    return START + timedelta(seconds=after_s) if random.random() < 0.3 else None


def a_zone(random: np.random.Generator, kind: str) -> ZoneShape:
    # Self-crossing and touching polygons are refused by the space file, but counted alike.
    name, polygon = (
        str(random.choice(list("abc"))),
        places(random, int(random.integers(3, 9)), kind),
    )
    low, high = some_instant(random), some_instant(random)
    return ZoneShape(name, f"unit of {name}", "selling", tuple(polygon), low, high)


def a_line(random: np.random.Generator, kind: str) -> LineShape:
    a, b = (0.0, 0.0), (0.0, 0.0)
    while a == b:
        a, b = places(random, 2, kind)
    inside = "left" if random.random() < 0.5 else "right"
    low, high = some_instant(random), some_instant(random)
    return LineShape(str(random.choice(list("lm"))), "unit", "entrance", a, b, inside, low, high)


def a_tracklet(random: np.random.Generator, kind: str, camera: str, name: str) -> list[dict]:
    count = int(random.integers(1, 40))
    at = START + np.cumsum(random.choice(STEPS_US, count)) * timedelta(microseconds=1)
    return [
        {"site_id": "mall", "camera_id": camera, "tracklet_id": name, "ts_utc": instant}
        | dict(zip(("x_m", "y_m"), place if random.random() < 0.95 else (None, None), strict=True))
        | {"confidence": None, "is_observed": True}
        for place, instant in zip(places(random, count, kind), at, strict=True)
    ]


rules = st.builds(
    CountingRules,
    position=st.sampled_from(["linear", "hold"]),
    max_gap_s=st.sampled_from([0.0, 0.5, 1.0, 1.0, 1e9]),
    confirm_samples=st.integers(0, 4),
    min_inside_s=st.sampled_from([0.0, 0.0, 0.7, 3.0]),
    exit_inertia_s=st.sampled_from([0.0, 0.0, 0.25, 1.5]),
)


@st.composite
def sites(draw):
    kind = draw(st.sampled_from(["lattice", "any"]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = tuple(a_zone(random, kind) for _ in range(random.integers(0, 5)))
    doors = tuple(a_line(random, kind) for _ in range(random.integers(0, 4)))
    sees = {"cam-2": frozenset("abclm"), "cam-1": frozenset(random.choice(list("abclm"), 3))}
    plan = SitePlan("mall", MADRID, draw(rules), shapes, doors, sees)
    # One name in two cameras: two tracklets all the same.
    all_names = [(camera, name) for camera in ("cam-2", "cam-1", "cam-0") for name in "ztu"]
    names = random.permutation(all_names)[: random.integers(0, 7)]
    rows = [row for pair in names for row in a_tracklet(random, kind, *map(str, pair))]
    table = pa.Table.from_pylist(rows, schema=DATASETS["tracklet_points"])
    if draw(st.booleans()):
        table = table.take(pa.array(random.permutation(len(rows)).astype(np.int64)))
    return table, plan


def bits(table: pa.Table) -> list[list[object]]:
    """Columns with floats as their bits: 0.0 and -0.0 differ."""
    return [
        column.to_numpy().view(np.int64).tolist()
        if pa.types.is_floating(column.type)
        else column.to_pylist()
        for column in table.columns
    ]


def assert_equal_to_the_oracle(table: pa.Table, plan: SitePlan) -> None:
    with np.errstate(all="ignore"):
        true = oracle.count_events(table, plan)
    found = count_events(table, plan)
    for name in ("visits", "line_crossings"):
        assert getattr(found, name).schema == getattr(true, name).schema
        assert bits(getattr(found, name)) == bits(getattr(true, name))
    true_minutes = oracle.zone_occupancy(true.visits, MADRID)
    assert bits(zone_occupancy(true.visits, MADRID)) == bits(true_minutes)
    back = pa.array(np.arange(true.visits.num_rows)[::-1])
    turned = true.visits.take(back)
    assert bits(zone_occupancy(turned, MADRID)) == bits(oracle.zone_occupancy(turned, MADRID))


@settings(max_examples=200, deadline=None)
@given(sites())
def test_any_site_is_counted_as_by_the_oracle(site):
    assert_equal_to_the_oracle(*site)


@given(sites())
def test_dictionary_encoded_strings_in_many_chunks_change_nothing(site):
    table, plan = site
    plain = count_events(table, plan)
    parts = [table.slice(i, 7) for i in range(0, table.num_rows, 7)]
    for i in (0, 1, 2):
        parts = [p.set_column(i, p.schema.names[i], p.column(i).dictionary_encode()) for p in parts]
    if parts:
        chunked = count_events(pa.concat_tables(parts), plan)
        assert chunked.visits == plain.visits
        assert chunked.line_crossings == plain.line_crossings


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["lattice", "any"]))
def test_any_walk_is_cut_as_by_the_oracle(seed, kind):
    random = np.random.default_rng(seed)
    start, end = np.array(places(random, 50, kind)), np.array(places(random, 50, kind))
    polygon = np.array(places(random, int(random.integers(3, 10)), kind))
    found = inside_pieces(start, end, polygon)
    with np.errstate(all="ignore"):
        true = oracle.inside_pieces(start, end, polygon)
    assert [part.tolist() for part in found] == [part.tolist() for part in true]


def crowd(people: int, steps: int, seed: int) -> pa.Table:
    """Walks of half-metre steps, of even and of uneven time, over a floor of 40 by 30 metres."""
    random = np.random.default_rng(seed)
    step = random.normal(0.0, 0.5, (people, steps, 2))
    at = random.uniform((0, 0), (40, 30), (people, 1, 2)) + step.cumsum(axis=1)
    us = random.integers(0, 3_600_000_000, (people, 1)) + random.integers(
        1, 1_100_000, (people, steps)
    ).cumsum(axis=1)
    count = people * steps
    ts = pa.array(us.ravel() + 1_772_442_000_000_000).cast(pa.timestamp("us", tz="UTC"))
    names = np.repeat([f"t{random.integers(1e9)}-{i}" for i in range(people)], steps)
    columns = [["mall"] * count, ["cam-2"] * count, names, ts, at[..., 0].ravel()]
    columns += [at[..., 1].ravel(), [None] * count, [True] * count]
    schema = DATASETS["tracklet_points"]
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def star(x: float, y: float, corners: int, random: np.random.Generator) -> tuple:
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    radii = random.uniform(0.5, 5.0, corners)
    return tuple(
        (float(x + r * np.cos(a)), float(y + r * np.sin(a)))
        for a, r in zip(angles, radii, strict=True)
    )


@pytest.mark.parametrize(
    ("zone_count", "line_count", "rules"),
    [
        (12, 3, CountingRules()),
        (12, 66, CountingRules(position="hold")),
        (70, 3, CountingRules(exit_inertia_s=2.0, confirm_samples=2, min_inside_s=5.0)),
    ],
)
def test_a_crowd_in_many_zones_is_counted_as_by_the_oracle(zone_count, line_count, rules):
    random = np.random.default_rng(zone_count)
    shapes = tuple(
        ZoneShape(f"z{i}", "u", "selling", star(*random.uniform(0, 30, 2), 4 + i % 9, random))
        for i in range(zone_count)
    )
    door = tuple(
        LineShape(f"l{i}", "u", "entrance", *map(tuple, random.uniform(0, 30, (2, 2))), "left")
        for i in range(line_count)
    )
    ids = frozenset([z.zone_id for z in shapes] + [d.line_id for d in door])
    plan = SitePlan("mall", MADRID, rules, shapes, door, {"cam-2": ids})
    assert_equal_to_the_oracle(crowd(60, 40, zone_count), plan)


def test_a_plan_far_from_the_origin_is_counted_as_by_the_oracle():
    away = 2.0**40
    square = ((away, 0.0), (away + 2, 0.0), (away + 2, 2.0), (away, 2.0))
    plan = SitePlan("mall", MADRID, CountingRules(), (ZoneShape("a", "u", "selling", square),), ())
    plan = replace(plan, sees={"cam-2": frozenset("a")})
    table = crowd(20, 30, 1)
    x = pa.array(table["x_m"].to_numpy() / 10 - 1 + away)
    table = table.set_column(4, table.schema.field("x_m"), x)
    assert oracle.count_events(table, plan).visits.num_rows > 0
    assert_equal_to_the_oracle(table, plan)


@pytest.mark.parametrize("bad", ["repeated", "infinite"])
def test_a_bad_sample_is_refused_with_the_words_of_the_oracle(bad):
    table = crowd(3, 4, 5).to_pylist()
    for row in (2, 9):
        if bad == "repeated":
            table[row]["ts_utc"] = table[row + 1]["ts_utc"]
        else:
            table[row]["x_m"] = float("inf")
    points = pa.Table.from_pylist(table[::-1], schema=DATASETS["tracklet_points"])
    plan = SitePlan("mall", MADRID, CountingRules(), (), ())
    with pytest.raises(ContractError) as true:
        oracle.count_events(points, plan)
    with pytest.raises(ContractError) as found:
        count_events(points, plan)
    assert (str(found.value), found.value.code) == (str(true.value), true.value.code)


def test_more_outputs_than_one_buffer_holds_lose_nothing(monkeypatch):
    shape = star(20, 15, 9, np.random.default_rng(3))
    plan = SitePlan("mall", MADRID, CountingRules(), (ZoneShape("a", "u", "selling", shape),), ())
    plan = replace(plan, sees={"cam-2": frozenset("a")})
    table = crowd(400, 30, 2)
    whole = count_events(table, plan)
    monkeypatch.setattr(tally, "_ROWS", 1)
    assert count_events(table, plan).visits == whole.visits
    assert whole.visits.num_rows > 4 * (9 + 1 + 2)


def test_the_raster_leaves_most_cells_without_exact_work():
    square = ((0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0))
    cells = grid.grid_of((square,), ()).cells
    assert (cells[..., 0] != 0).mean() < 0.1
    assert (cells[..., 1] != 0).sum() > 0.9 * (20 / 0.25) ** 2


def test_without_a_folder_for_compiled_code_loops_are_compiled_anew(monkeypatch):
    # what a read-only package and a home that cannot be written come to
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    assert compiled(lambda value: value + 1)(1) == 2
