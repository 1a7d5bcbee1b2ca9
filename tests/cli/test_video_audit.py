"""`ksi video audit`: counts by hand beside a data home, and files that are refused."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.store.store import Change

from ..ticket_files.homes import make_home

SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: u1}]
lines:
  - {id: door, unit: u1, role: entrance, a: [0, 0], b: [4, 0], inside: left}
cameras:
  - id: cam-1
    sees: [door]
    homography: [[0, 0, 0, 0], [64, 0, 4, 0], [64, 48, 4, 3], [0, 48, 0, 3]]
"""
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HEADER = "site,line,from,to,in,out\n"
# by the system in three clips of ten minutes: in and out
COUNTED = [(19, 4), (33, 6), (48, 0)]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Half an hour in which a camera looked at a door, and nothing before or after."""
    workspace = make_home(tmp_path_factory.mktemp("home"), space=SPACE)
    crossings = [
        {
            "site_id": "shop",
            "unit_id": "u1",
            "line_id": "door",
            "tracklet_id": f"t{clip}{direction}{number}",
            "at_utc": NOON + timedelta(minutes=10 * clip, seconds=number),
            "direction": direction,
            "x_m": 1.0,
            "y_m": 0.0,
            "hour_start_utc": NOON,
            "rule_version": 1,
            "geometry_version": "a" * 12,
        }
        for clip, counts in enumerate(COUNTED)
        for direction, count in zip(("in", "out"), counts, strict=True)
        for number in range(count)
    ]
    covered = {
        "site_id": "shop",
        "source_kind": "camera",
        "source_id": "cam-1",
        "key": "chunk",
        "from_utc": NOON,
        "to_utc": NOON + timedelta(minutes=30),
        "status": "complete",
        "observed_s": 1800.0,
        "expected_s": 1800.0,
    }
    change = Change(cause="test")
    for dataset, rows in (("line_crossings", crossings), ("coverage", [covered])):
        table = pa.Table.from_pylist(rows, schema=DATASETS[dataset])
        workspace.store.replace(change, dataset, table, source="test")
    workspace.store.commit(change)
    return workspace.home.root


def clip(start_minute, manual, *, minutes=10, line="door"):
    start, end = (NOON + timedelta(minutes=m) for m in (start_minute, start_minute + minutes))
    return f"shop,{line},{start.isoformat()},{end.isoformat()},{manual[0]},{manual[1]}\n"


GOLDEN = clip(0, (20, 4)) + clip(10, (30, 6)) + clip(20, (50, 0))


def ksi(home, tmp_path, text, *options, header=HEADER):
    path = tmp_path / "counts.csv"
    path.write_text(header + text)
    return CliRunner().invoke(app, ["video", "audit", str(path), "--dir", str(home), *options])


def figures(home, tmp_path, text):
    result = ksi(home, tmp_path, text, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_worked_example_has_no_bias_and_a_wape_of_six_per_cent(home, tmp_path):
    found = figures(home, tmp_path, GOLDEN)["errors"]["in"]
    assert (found["clips"], found["manual"], found["counted"]) == (3, 100, 100)
    assert (found["bias"], found["wape"]) == (0.0, 0.06)
    low, high = found["bias_interval"]
    assert low < 0 < high


def test_a_miss_in_and_one_too_many_out_do_not_cancel(home, tmp_path):
    # 19 in and 4 out were counted, 33 in and 6 out: five too few in, five too many out
    text = clip(0, (24, 0)) + clip(10, (33, 5))
    both = figures(home, tmp_path, text)["errors"]["both"]
    assert both["bias"] == 0.0
    assert both["wape"] == 10 / 62


def test_a_clip_that_was_not_watched_has_no_count_and_is_in_no_error(home, tmp_path):
    found = figures(home, tmp_path, GOLDEN + clip(25, (9, 9)))
    assert found["clips"][3]["counted"] is None
    assert found["clips"][3]["watched"] == 0.5
    assert found["errors"] == figures(home, tmp_path, GOLDEN)["errors"]


def test_times_may_have_any_offset_and_are_told_in_utc(home, tmp_path):
    text = GOLDEN.replace("T12:", "T14:").replace("+00:00", "+02:00")
    assert "T14:10:00+02:00" in text
    found = figures(home, tmp_path, text)
    assert found == figures(home, tmp_path, GOLDEN)
    assert found["clips"][0]["from_utc"] == "2026-03-02T12:00:00+00:00"


def test_a_crossing_at_the_end_of_a_clip_is_in_the_next(home, tmp_path):
    # the last person of the first clip crosses 18 s after it began
    text = clip(0, (18, 4), minutes=0.3)
    assert figures(home, tmp_path, text)["clips"][0]["counted"] == {"in": 18, "out": 4}


def test_the_tables_name_clip_direction_bias_and_wape(home, tmp_path):
    printed = " ".join(ksi(home, tmp_path, GOLDEN + clip(60, (1, 1))).stdout.split())
    for words in ("shop/door", "+0.0 %", "6.0 %", "1 of 4 clips were not watched whole"):
        assert words in printed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has no row"),
        (clip(0, (1, "x")), "line 2: out is 'x', no number of people"),
        (clip(0, (1, -1)), "line 2: out is '-1', no number of people"),
        ("shop,door,2026-03-02T12:00:00,2026-03-02T12:10:00+00:00,1,1\n", "line 2: "),
        (GOLDEN + clip(0, (20, 4)), "a clip of a line is in it twice"),
        (clip(0, (1, 1), line="gate"), "no space file has a line 'gate'"),
    ],
    ids=["empty", "words", "negative", "no offset", "twice", "unknown line"],
)
def test_counts_that_cannot_be_used_are_refused_with_the_reason(home, tmp_path, text, why):
    result = ksi(home, tmp_path, text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("E_AUDIT: ")
    assert why in " ".join(result.stderr.split())


def test_a_file_without_a_column_is_refused_and_says_which(home, tmp_path):
    result = ksi(home, tmp_path, GOLDEN, header="site,line,from,to,in,aus\n")
    assert result.exit_code == 2
    assert "it has no column out" in " ".join(result.stderr.split())


def test_a_file_that_is_not_there_is_refused(home, tmp_path):
    missing = tmp_path / "none.csv"
    result = CliRunner().invoke(app, ["video", "audit", str(missing), "--dir", str(home)])
    assert result.exit_code == 2
    assert result.stderr.startswith("E_AUDIT: ")


def test_clips_of_which_none_was_watched_fail_and_count_nothing_as_zero(home, tmp_path):
    result = ksi(home, tmp_path, clip(60, (5, 5)))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("E_AUDIT_UNWATCHED: ")
