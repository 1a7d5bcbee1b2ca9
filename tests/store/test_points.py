"""A file of points gives the same events however its rows are ordered, grouped and read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ksi_pipeline.core.errors import ContractError, TransientError
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.defs.steps.files import OF_FILE, count_file
from ksi_pipeline.store import points as points_room

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SITES = ("east", "west")
SPACE = """
schema: 1
site: {{id: {site}, name: Shop, timezone: Europe/Madrid, currency: EUR}}
zones:
  - {{id: shelf, role: selling, polygon: [[0.0, 0.0], [5.0, 0.0], [5.0, 5.0], [0.0, 5.0]]}}
  - {{id: corner, role: display, polygon: [[4.0, 4.0], [9.0, 4.0], [6.0, 9.0]]}}
  - {{id: window, role: display, polygon: [[0.0, 8.0], [2.0, 8.0], [2.0, 9.0]], to: 2026-01-01}}
  - {{id: cellar, role: staff, polygon: [[0.0, 8.0], [2.0, 8.0], [2.0, 9.0]]}}
  - {{id: attic, role: staff, polygon: [[0.0, 8.0], [2.0, 8.0], [2.0, 9.0]]}}
lines:
  - {{id: door, role: entrance, a: [3.0, 0.0], b: [3.0, 9.0], inside: left}}
cameras:
  - {{id: cam-1, sees: [shelf, door, window]}}
  - {{id: cam-10, sees: [corner], to: 2026-03-03}}
  - {{id: cam-10, sees: [corner, shelf], from: 2026-03-03}}
  - {{id: cam-dark, sees: [attic]}}
"""


@pytest.fixture
def spaces(tmp_path) -> list[Path]:
    paths = [tmp_path / f"{site}.yaml" for site in SITES]
    for site, path in zip(SITES, paths, strict=True):
        path.write_text(SPACE.format(site=site))
    return paths


def walks(people: int = 8, samples: int = 40) -> pa.Table:
    """People of two cameras at two sites, around the midnight at which one camera is re-aimed."""
    random = np.random.default_rng(7)
    rows = []
    for site in SITES:
        for camera in ("cam-1", "cam-10"):
            for person in range(people):
                begin = START + timedelta(hours=13, minutes=59, seconds=int(random.integers(50)))
                at = random.uniform(0, 9, 2) + random.normal(0, 0.6, (samples, 2)).cumsum(axis=0)
                rows += [
                    {
                        "site_id": site,
                        "camera_id": camera,
                        "tracklet_id": f"{camera}-{person}",
                        "ts_utc": begin + timedelta(seconds=0.5 * i),
                        "x_m": float(x),
                        "y_m": float(y),
                        "confidence": None,
                        "is_observed": True,
                    }
                    for i, (x, y) in enumerate(at)
                ]
    return pa.Table.from_pylist(rows, schema=DATASETS["tracklet_points"])


def written(points: pa.Table, spaces: list[Path], folder: Path, **how) -> list[bytes]:
    folder.mkdir()
    pq.write_table(points, folder / "points.parquet", row_group_size=how.pop("row_group_size", 999))
    count_file(folder / "points.parquet", spaces, folder / "out", **how)
    return [(folder / "out" / f"{name}.parquet").read_bytes() for name in OF_FILE]


@pytest.fixture
def whole(spaces, tmp_path) -> list[bytes]:
    files = written(walks(), spaces, tmp_path / "whole")
    assert pq.read_metadata(tmp_path / "whole" / "out" / "visits.parquet").num_rows > 30
    return files


@pytest.mark.parametrize("row_group_size", [1, 7, 40, 641])
def test_row_groups_of_any_size_give_the_same_files(whole, spaces, tmp_path, row_group_size):
    folder = tmp_path / "grouped"
    assert written(walks(), spaces, folder, row_group_size=row_group_size) == whole


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_gives_the_same_files(whole, spaces, tmp_path, threads):
    files = written(walks(), spaces, tmp_path / "t", row_group_size=50, threads=threads)
    assert files == whole


@pytest.mark.parametrize("part_rows", [33, 1 << 21])
def test_a_large_row_group_is_read_in_pieces(whole, spaces, tmp_path, monkeypatch, part_rows):
    monkeypatch.setattr(points_room, "PART_ROWS", part_rows)
    monkeypatch.setattr(points_room, "PIECE_ROWS", 17)
    assert written(walks(), spaces, tmp_path / "pieces") == whole


def test_rows_in_any_order_give_the_same_files_and_it_is_said(whole, spaces, tmp_path):
    table = walks()
    order = np.random.default_rng(1).permutation(table.num_rows)
    said: list[str] = []
    assert written(table.take(order), spaces, tmp_path / "s", notice=said.append) == whole
    assert len(said) == 1
    assert "not sorted" in said[0]
    assert f"{table.num_rows:,} rows" in said[0]
    assert not list((tmp_path / "s" / "out").glob(".*"))


def test_sorted_rows_are_not_sorted_again(spaces, tmp_path):
    said: list[str] = []
    written(walks(), spaces, tmp_path / "s", row_group_size=50, notice=said.append)
    assert said == []


def test_what_no_camera_watched_is_unknown_and_not_zero(spaces, tmp_path):
    table = walks()
    dark = table.slice(0, 3).to_pylist()
    for i, row in enumerate(dark):
        row |= {"camera_id": "cam-dark", "tracklet_id": f"d{i}", "x_m": None, "y_m": None}
    dark_rows = pa.Table.from_pylist(dark, schema=table.schema)
    pq.write_table(pa.concat_tables([table, dark_rows]), tmp_path / "points.parquet")
    east, west = count_file(tmp_path / "points.parquet", spaces, tmp_path / "out")
    zones = {row["zone_id"]: (row["visits"], row["reason"]) for row in east.zones}
    assert zones["shelf"][0] > 0
    assert zones["shelf"][1] is None
    assert zones["window"] == (None, "not valid at the time")
    assert zones["cellar"] == (None, "no camera sees it")
    assert zones["attic"] == (None, "cam-dark not calibrated")
    assert {z["zone_id"]: z["reason"] for z in west.zones}["attic"] == "no points of cam-dark"


def test_a_zone_that_nobody_entered_is_zero(spaces, tmp_path):
    table = walks(people=1, samples=2)
    away = pa.array([50.0] * table.num_rows)
    table = table.set_column(4, table.schema.field("x_m"), away)
    pq.write_table(table, tmp_path / "points.parquet")
    east, _ = count_file(tmp_path / "points.parquet", spaces, tmp_path / "out")
    assert east.zones[0] == {
        "zone_id": "shelf",
        "visits": 0,
        "tracklets": 0,
        "dwell_s": 0.0,
        "reason": None,
    }
    assert east.lines == [{"line_id": "door", "in": 0, "out": 0, "reason": None}]


def spoilt(column: str, value: object, row: int) -> pa.Table:
    table = walks()
    values = table[column].to_pylist()
    values[row] = values[row - 1] if value == "as before" else value
    place = table.schema.get_field_index(column)
    field = table.schema.field(place).with_nullable(True)
    return table.set_column(place, field, pa.array(values, field.type))


@pytest.mark.parametrize("is_shuffled", [False, True])
@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("x_m", float("nan"), "E_NOT_FINITE"),
        ("y_m", float("-inf"), "E_NOT_FINITE"),
        ("ts_utc", "as before", "E_REPEATED_SAMPLE"),
        ("ts_utc", None, "E_NULL"),
        ("tracklet_id", None, "E_NULL"),
        ("site_id", "north", "E_UNKNOWN_SITE"),
    ],
)
def test_a_bad_row_is_named_by_file_row_group_and_row(
    spaces, tmp_path, column, value, code, is_shuffled
):
    row, order = 131, np.arange(walks().num_rows)
    if is_shuffled:
        order = order[::-1]
    table = spoilt(column, value, row).take(order)
    place = int(np.flatnonzero(order == row)[0])
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=100)
    with pytest.raises(ContractError) as caught:
        count_file(tmp_path / "p.parquet", spaces, tmp_path / "out")
    assert caught.value.code == code
    # of two samples at one instant either is the repeated one
    places = [place, place + 1] if value == "as before" else [place]
    starts = [f"p.parquet, row group {at // 100}, row {at} of the file: " for at in places]
    assert str(caught.value).startswith(tuple(starts))
    assert not list((tmp_path / "out").glob("*.parquet"))


def test_a_refused_file_leaves_earlier_results_as_they_were(spaces, tmp_path):
    pq.write_table(walks(), tmp_path / "good.parquet")
    pq.write_table(spoilt("x_m", float("nan"), 600), tmp_path / "bad.parquet", row_group_size=50)
    count_file(tmp_path / "good.parquet", spaces, tmp_path / "out")
    before = [(tmp_path / "out" / f"{name}.parquet").read_bytes() for name in OF_FILE]
    with pytest.raises(ContractError):
        count_file(tmp_path / "bad.parquet", spaces, tmp_path / "out")
    assert [(tmp_path / "out" / f"{name}.parquet").read_bytes() for name in OF_FILE] == before
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"text"])
def test_a_file_that_is_no_parquet_is_refused(spaces, tmp_path, content):
    (tmp_path / "p.parquet").write_bytes(content)
    with pytest.raises(ContractError) as caught:
        count_file(tmp_path / "p.parquet", spaces, tmp_path / "out")
    assert caught.value.code == "E_PARQUET"


def test_a_file_cut_in_its_pages_is_refused(spaces, tmp_path):
    pq.write_table(walks(), tmp_path / "p.parquet", row_group_size=200)
    content = bytearray((tmp_path / "p.parquet").read_bytes())
    content[200:4000] = bytes(3800)
    (tmp_path / "p.parquet").write_bytes(bytes(content))
    with pytest.raises(ContractError) as caught:
        count_file(tmp_path / "p.parquet", spaces, tmp_path / "out")
    assert caught.value.code == "E_PARQUET"


def test_a_sort_without_room_says_what_it_needs(spaces, tmp_path, monkeypatch):
    monkeypatch.setattr(points_room, "_SORT_MEMORY", "1KB")
    table = walks()
    pq.write_table(table.take(np.arange(table.num_rows)[::-1]), tmp_path / "p.parquet")
    with pytest.raises(TransientError) as caught:
        count_file(tmp_path / "p.parquet", spaces, tmp_path / "out")
    assert caught.value.code == "E_SORT"


@pytest.mark.data
@pytest.mark.parametrize("rows", [1, 64, 1000, 100_000])
@pytest.mark.parametrize("is_shuffled", [False, True])
def test_a_real_street_is_the_same_in_any_batches_and_order(test_data, tmp_path, rows, is_shuffled):
    case = test_data / "trajectories" / "ucy_zara01" / "case"
    table = pq.read_table(case / "points.parquet")
    if is_shuffled:
        table = table.take(np.random.default_rng(rows).permutation(table.num_rows))
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=rows)
    (site,) = count_file(tmp_path / "p.parquet", [case / "space.yaml"], tmp_path / "out")
    assert [zone["visits"] for zone in site.zones] == [24, 120, 158]
    assert [(line["in"], line["out"]) for line in site.lines] == [(9, 5), (70, 66), (73, 65)]


def test_a_camera_that_is_aimed_elsewhere_cuts_its_own_tracklets_and_no_others(spaces, tmp_path):
    midnight = datetime(2026, 3, 2, 23, tzinfo=UTC)  # in Madrid
    rows = [
        {
            "site_id": "east",
            "camera_id": camera,
            "tracklet_id": f"{camera}-1",
            "ts_utc": midnight + timedelta(seconds=second),
            "x_m": x,
            "y_m": x,
            "confidence": None,
            "is_observed": True,
        }
        for camera, x in (("cam-1", 1.0), ("cam-10", 5.9))
        for second in (-1, 0, 1)
    ]
    table = pa.Table.from_pylist(rows, schema=DATASETS["tracklet_points"])
    pq.write_table(table, tmp_path / "p.parquet")
    count_file(tmp_path / "p.parquet", spaces, tmp_path / "out")
    visits = pq.read_table(tmp_path / "out" / "visits.parquet").to_pylist()
    assert [(v["zone_id"], v["dwell_s"]) for v in visits] == [("shelf", 2.0), ("corner", 1.0)]


@pytest.mark.parametrize("name", ["p[1].parquet", "p*.parquet", "p?.parquet"])
def test_an_unsorted_file_whose_name_looks_like_a_pattern_is_read_and_no_other(
    whole, spaces, tmp_path, name
):
    table = walks()
    folder = tmp_path / "named"
    folder.mkdir()
    pq.write_table(table.slice(0, 40), folder / "p1.parquet")
    pq.write_table(table.take(np.arange(table.num_rows)[::-1]), folder / name)
    count_file(folder / name, spaces, folder / "out")
    assert [(folder / "out" / f"{n}.parquet").read_bytes() for n in OF_FILE] == whole


@pytest.mark.parametrize("column", ["camera_id", "ts_utc", "is_observed"])
def test_a_file_without_a_column_is_refused_by_its_name(spaces, tmp_path, column):
    pq.write_table(walks().drop([column]), tmp_path / "p.parquet")
    with pytest.raises(ContractError, match=column) as caught:
        count_file(tmp_path / "p.parquet", spaces, tmp_path / "out")
    assert caught.value.code == "E_SCHEMA"


def test_points_are_not_replaced_by_their_own_counts(spaces, tmp_path):
    pq.write_table(walks(), tmp_path / "visits.parquet")
    with pytest.raises(ContractError) as caught:
        count_file(tmp_path / "visits.parquet", spaces, tmp_path)
    assert caught.value.code == "E_FILE"
    assert pq.read_table(tmp_path / "visits.parquet") == walks()


@pytest.mark.parametrize("instant", [2**62, -(2**61)])
def test_an_instant_of_no_year_is_named_by_its_row(spaces, tmp_path, instant):
    table = walks()
    ts = table["ts_utc"].cast(pa.int64()).to_pylist()
    ts[7] = instant
    field = table.schema.field("ts_utc")
    table = table.set_column(3, field, pa.array(ts, pa.int64()).cast(field.type))
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(ContractError, match="row 7 of the file") as caught:
        count_file(tmp_path / "p.parquet", spaces, tmp_path / "out")
    assert caught.value.code == "E_BAD_TIME"


@pytest.mark.parametrize("column", ["site_id", "camera_id", "tracklet_id"])
def test_text_that_is_no_utf_8_is_refused(spaces, tmp_path, column):
    table = walks()
    place = table.schema.get_field_index(column)
    latin = pa.array([b"caf\xe9"] * table.num_rows, pa.binary()).view(pa.string())
    pq.write_table(
        table.set_column(place, table.schema.field(place), latin), tmp_path / "p.parquet"
    )
    with pytest.raises(ContractError, match=column) as caught:
        count_file(tmp_path / "p.parquet", spaces, tmp_path / "out")
    assert caught.value.code == "E_PARQUET"


@pytest.mark.parametrize("row_group_size", [1, 100])
def test_unknown_positions_at_one_instant_contradict_nothing(spaces, tmp_path, row_group_size):
    row = walks().slice(0, 1).to_pylist()[0] | {"x_m": None, "y_m": None}
    table = pa.Table.from_pylist([row, row], schema=walks().schema)
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=row_group_size)
    (east,) = count_file(tmp_path / "p.parquet", spaces, tmp_path / "out")
    assert east.zones[0]["reason"].endswith("not calibrated")


def test_a_zone_that_held_between_two_days_with_points_was_not_watched(spaces, tmp_path):
    space = spaces[0].read_text().replace("to: 2026-01-01", "from: 2026-03-05, to: 2026-03-07")
    spaces[0].write_text(space)
    one = walks(people=1).slice(0, 5)
    later = one["ts_utc"].cast(pa.int64()).to_numpy() + 10 * 86_400_000_000
    field = one.schema.field("ts_utc")
    two = one.set_column(3, field, pa.array(later).cast(field.type))
    pq.write_table(pa.concat_tables([one, two]), tmp_path / "p.parquet")
    (east,) = count_file(tmp_path / "p.parquet", spaces[:1], tmp_path / "out")
    reasons = {zone["zone_id"]: zone["reason"] for zone in east.zones}
    assert (reasons["shelf"], reasons["window"]) == (None, "not valid at the time")


def test_a_thousand_row_groups_read_the_footer_once(spaces, tmp_path, monkeypatch):
    pq.write_table(walks(), tmp_path / "p.parquet", row_group_size=1)
    opened: list[bool] = []
    file = pq.ParquetFile

    def noted(path, **how):
        opened.append("metadata" in how)
        return file(path, **how)

    monkeypatch.setattr(points_room.pq, "ParquetFile", noted)
    count_file(tmp_path / "p.parquet", spaces, tmp_path / "out")
    assert opened.count(False) == 1
