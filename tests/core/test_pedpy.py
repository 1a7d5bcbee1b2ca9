"""Our counts beside PedPy's, an independent tool of pedestrian research, where it can be compared.

PedPy works on frames: a crossing has the frame after it and no direction, and being in an area is
asked at frames only. docs/explanation/compared-with-pedpy.md says what follows from these tests.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pedpy
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pedpy.methods.method_utils import compute_crossing_frames

from ksi_pipeline.core.events import count_events
from ksi_pipeline.core.plan import CountingRules, LineShape, SitePlan, ZoneShape
from ksi_pipeline.core.schemas import TRACKLET_POINTS
from ksi_pipeline.space.load import load_space

STEP_US = 400_000  # one frame, as zara01 has them
FRAME_RATE = 1e6 / STEP_US
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
DOOR = LineShape("door", "0001", "entrance", (0.0, -2.0), (0.0, 2.0), "right")
# PedPy's area of passage: from the door 3 m to its left, x from -3 to 0.
HALL = ((0.0, -2.0), (0.0, 2.0), (-3.0, 2.0), (-3.0, -2.0))


class Case(NamedTuple):
    """The same walks for both: (id, frame, x, y), at least two frames each, none missing."""

    samples: pd.DataFrame
    plan: SitePlan

    @property
    def for_pedpy(self):
        return pedpy.TrajectoryData(self.samples, FRAME_RATE)

    @property
    def events(self):
        columns = {
            "site_id": [self.plan.site_id] * len(self.samples),
            "camera_id": ["cam-1"] * len(self.samples),
            "tracklet_id": self.samples["id"].astype(str).to_list(),
            "ts_utc": [START + timedelta(microseconds=STEP_US * f) for f in self.samples["frame"]],
            "x_m": self.samples["x"],
            "y_m": self.samples["y"],
            "confidence": np.ones(len(self.samples)),
            "is_observed": [True] * len(self.samples),
        }
        return count_events(pa.table(columns, schema=TRACKLET_POINTS), self.plan)

    def our_crossings(self, line):
        """(id, frame after it) of each crossing."""
        crossings = self.events.line_crossings
        crossings = crossings.filter(crossings["line_id"].to_numpy() == line.line_id)
        frames = np.ceil(in_frames(crossings["at_utc"])).astype(int)
        return set(zip(map(int, crossings["tracklet_id"].to_pylist()), frames, strict=True))

    def pedpys_crossings(self, line):
        found = compute_crossing_frames(
            traj_data=self.for_pedpy, measurement_line=pedpy.MeasurementLine([line.a, line.b])
        )
        return set(zip(found["id"], found["frame"], strict=True))

    def last_frames(self):
        return set(self.samples.groupby("id")["frame"].max().items())

    def our_visits(self, zone_id):
        """Rows (id, frame of entering, of leaving), with fractions."""
        visits = self.events.visits
        visits = visits.filter(visits["zone_id"].to_numpy() == zone_id)
        return list(
            zip(
                map(int, visits["tracklet_id"].to_pylist()),
                in_frames(visits["entered_at_utc"]),
                in_frames(visits["left_at_utc"]),
                strict=True,
            )
        )


def in_frames(instants):
    start_us = round(START.timestamp() * 1e6)
    return (instants.cast("int64").to_numpy() - start_us) / STEP_US


def plan_of(zones=(), lines=(DOOR,)):
    sees = frozenset({*(zone.zone_id for zone in zones), *(line.line_id for line in lines)})
    return SitePlan(
        "s", ZoneInfo("UTC"), CountingRules(), tuple(zones), tuple(lines), {"cam-1": sees}
    )


def walk_of(*xs):
    """One walk along y = 0 to the given x, a frame each."""
    samples = [(1, frame, float(x), 0.0) for frame, x in enumerate(xs)]
    return Case(pd.DataFrame(samples, columns=["id", "frame", "x", "y"]), plan_of())


def random_walks(seed):
    """400 people who drift around the door for 12 frames."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, 0.45, (400, 12, 2)) + rng.normal(0.0, 0.25, (400, 1, 2))
    places = rng.uniform(-2.0, 2.0, (400, 1, 2)) + steps.cumsum(axis=1)
    samples = [
        (person, frame, *places[person, frame]) for person in range(400) for frame in range(12)
    ]
    plan = plan_of([ZoneShape("hall", "0001", "passage", HALL)])
    return Case(pd.DataFrame(samples, columns=["id", "frame", "x", "y"]), plan)


@pytest.fixture(scope="module")
def zara(test_data):
    folder = test_data / "trajectories" / "ucy_zara01" / "case"
    points = pq.read_table(folder / "points.parquet").to_pandas()
    frames = (points["ts_utc"] - pd.Timestamp(START)) // pd.Timedelta(microseconds=STEP_US)
    samples = pd.DataFrame(
        {
            "id": points["tracklet_id"].astype(int),
            "frame": frames,
            "x": points["x_m"],
            "y": points["y_m"],
        }
    )
    return Case(samples, load_space(folder / "space.yaml").plan())


@pytest.mark.parametrize("seed", range(4))
def test_random_walks_cross_as_in_pedpy_and_once_more_in_a_last_step(seed):
    case = random_walks(seed)
    ours, pedpys = case.our_crossings(DOOR), case.pedpys_crossings(DOOR)
    assert len(pedpys) > 100
    assert pedpys <= ours
    assert ours - pedpys == ours & case.last_frames() != set()


@pytest.mark.data
@pytest.mark.parametrize(
    ("line_id", "count", "missed"),
    [("shop_door", 14, 1), ("street_y13", 136, 0), ("oblique", 138, 0)],
    ids=["shop_door", "street_y13", "oblique"],
)
def test_a_real_street_is_crossed_as_in_pedpy_and_once_more_in_a_last_step(
    zara, line_id, count, missed
):
    (line,) = (line for line in zara.plan.lines if line.line_id == line_id)
    ours, pedpys = zara.our_crossings(line), zara.pedpys_crossings(line)
    assert (len(ours), len(ours - pedpys), len(pedpys - ours)) == (count, missed, 0)
    assert ours - pedpys <= zara.last_frames()


def test_pedpy_drops_a_crossing_in_the_last_step_of_a_track_and_we_count_it():
    case = walk_of(-2, -1, 1)
    assert case.pedpys_crossings(DOOR) == set()
    assert case.our_crossings(DOOR) == {(1, 2)}
    assert walk_of(-2, -1, 1, 2).pedpys_crossings(DOOR) == {(1, 2)}


def test_pedpy_drops_a_crossing_that_ends_within_a_hundredth_of_a_millimetre_and_we_count_it():
    case = walk_of(-2, -1, 9e-6, 1, 2)
    assert case.pedpys_crossings(DOOR) == set()
    assert case.our_crossings(DOOR) == {(1, 2)}
    assert walk_of(-2, -1, 1.1e-5, 1, 2).pedpys_crossings(DOOR) == {(1, 2)}


def test_pedpy_counts_stepping_onto_the_line_and_back_and_we_do_not():
    case = walk_of(-2, -1, 0, -1, -2)
    assert case.pedpys_crossings(DOOR) == {(1, 3)}
    assert case.our_crossings(DOOR) == set()


def people_by_frame(case, area, zone_id):
    """People inside at each frame: PedPy's by density times area, ours by visits."""
    density = pedpy.compute_classic_density(traj_data=case.for_pedpy, measurement_area=area)
    pedpys = np.rint(density["density"] * area.area).astype(int)
    frames = density["frame"] if "frame" in density else density.index.to_series()
    visits = case.our_visits(zone_id)
    ours = [sum(low <= frame <= high for _, low, high in visits) for frame in frames]
    return pedpys.to_list(), ours


@pytest.mark.data
@pytest.mark.parametrize(("zone_id", "count"), [("window", 256), ("quad", 1093)], ids=str)
def test_at_every_frame_of_a_real_street_as_many_are_inside_as_in_pedpy(zara, zone_id, count):
    (zone,) = (zone for zone in zara.plan.zones if zone.zone_id == zone_id)
    pedpys, ours = people_by_frame(zara, pedpy.MeasurementArea([*zone.polygon]), zone_id)
    assert sum(pedpys) == count
    assert ours == pedpys


def test_at_every_frame_of_random_walks_as_many_are_inside_as_in_pedpy():
    case = random_walks(7)
    pedpys, ours = people_by_frame(case, pedpy.MeasurementArea([*HALL]), "hall")
    assert sum(pedpys) > 250
    assert ours == pedpys


def test_who_passes_a_hall_in_pedpy_made_one_visit_with_that_dwell_to_a_frame():
    case = random_walks(8)
    passed, area = pedpy.compute_frame_range_in_area(
        traj_data=case.for_pedpy,
        measurement_line=pedpy.MeasurementLine([DOOR.a, DOOR.b]),
        width=3.0,
    )
    assert area.polygon.equals(pedpy.MeasurementArea([*HALL]).polygon)
    assert len(passed) >= 5
    visits = case.our_visits("hall")
    for row in passed.itertuples():
        matching = [
            (low, high)
            for person, low, high in visits
            if person == row.id and np.ceil(low) == row.entering_frame
        ]
        assert len(matching) == 1
        assert np.ceil(matching[0][1]) == row.leaving_frame


def test_walking_through_between_two_frames_is_a_visit_and_nothing_in_pedpy():
    narrow = ((-0.1, -1.0), (0.1, -1.0), (0.1, 1.0), (-0.1, 1.0))
    samples = walk_of(-2, -1, 1, 2).samples
    case = Case(samples, plan_of([ZoneShape("mat", "0001", "display", narrow)]))
    pedpys, _ = people_by_frame(case, pedpy.MeasurementArea([*narrow]), "mat")
    assert pedpys == [0, 0, 0, 0]
    assert case.our_visits("mat") == [(1, 1.45, 1.55)]


@pytest.mark.data
def test_3_of_24_visits_to_a_real_shop_window_lie_between_two_samples(zara):
    visits = zara.our_visits("window")
    between = [low for _, low, high in visits if np.ceil(low) > np.floor(high)]
    assert (len(visits), len(between)) == (24, 3)


@pytest.mark.data
def test_pedpy_refuses_a_concave_area(zara):
    (zone,) = (zone for zone in zara.plan.zones if zone.zone_id == "promenade_L")
    with pytest.raises(pedpy.errors.GeometryError, match="convex"):
        pedpy.MeasurementArea([*zone.polygon])
