"""A space file is taken whole or refused with the line, the entry and what to change."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.space.checks import warnings
from ksi_pipeline.space.load import check_together, load_space
from ksi_pipeline.space.tables import space_tables

GOOD = """\
schema: 1
site: {id: mall, name: Mall, timezone: Europe/Madrid, currency: EUR, business_day_start: "05:00"}
units:
  - {id: "0001", floor: "0", areas: [{gla_m2: 120, selling_m2: 80, from: 2025-01-01}]}
zones:
  - {id: shelf, unit: "0001", role: selling, polygon: [[0, 0], [2, 0], [2, 1]]}
lines:
  - {id: door, unit: "0001", role: entrance, a: [0, 0], b: [2, 0], inside: left}
cameras:
  - {id: cam-1, sees: [shelf, door]}
links:
  - {connector: pos, ext_ref_code: "0001", unit: "0001", from: 2025-01-01}
"""


@pytest.fixture
def load(tmp_path: Path):
    def load_text(text: str):
        path = tmp_path / "mall.yaml"
        path.write_text(text)
        return load_space(path)

    return load_text


def refusal(load, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(GOOD.replace(old, new))
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "[[0, 0], [2, 0], [2, 1]]",
            "[[0, 0], [2, 0]]",
            "mall.yaml line 6: zone 'shelf': the polygon has 2 points and needs at least 3",
            id="two-points",
        ),
        pytest.param(
            "[[0, 0], [2, 0], [2, 1]]",
            "[[0, 0], [2, 2], [2, 0], [0, 2]]",
            "mall.yaml line 6: zone 'shelf': the polygon crosses or touches itself",
            id="bow-tie",
        ),
        pytest.param(
            'id: "0001", floor', "id: 0001, floor", "line 4: unit 1: 1 is a number here", id="0001"
        ),
        pytest.param("b: [2, 0]", "b: [0, 0]", "line 8: line 'door': a and b are", id="no-line"),
        pytest.param(
            "sees: [shelf, door]",
            "sees: [shelf, dor]",
            "line 10: camera 'cam-1': zone or line 'dor' is not in this file",
            id="unknown-line",
        ),
        pytest.param(
            "role: selling", "role: sellin", "line 6: zone 'shelf': 'role' is 'sellin'", id="role"
        ),
        pytest.param(
            "Europe/Madrid", "Europe/Madri", "line 2: site: 'Europe/Madri' is no time", id="zone"
        ),
        pytest.param('"05:00"', "5:00", "write the time in quotes", id="sexagesimal"),
        pytest.param("inside: left", "insde: left", "'insde' is not a key", id="misspelt-key"),
        pytest.param("[2, 1]]", "[2, .nan]]", "line 6: zone 'shelf'", id="nan"),
        pytest.param(
            "links:\n",
            'links:\n  - {connector: pos, ext_ref_code: "0001", unit: "0001"}\n',
            "'pos/0001' is already given by entry 1",
            id="one-code-twice-at-once",
        ),
        pytest.param("units:\n", "units: [\n", "this is no YAML", id="not-yaml"),
        pytest.param("name: Mall", "name: Mall, name: Mal", "is given twice", id="repeated-key"),
        pytest.param("id: mall", 'id: ".."', "'..' is no id", id="parent-folder"),
        pytest.param("selling_m2: 80", "selling_m2: 130", "larger than gla_m2 120", id="selling"),
        pytest.param(
            'business_day_start: "05:00"',
            'opening_hours: {mon: ["09:00-14:00", "13:00-21:00"]}',
            "mon: '09:00-14:00' and '13:00-21:00' overlap",
            id="overlapping-hours",
        ),
        pytest.param("name: Mall", "name: 7", "it should be text; put it in quotes", id="words"),
        pytest.param("units:\n", f"lines: {'[' * 3000}{']' * 3000}\nunits:\n", "deep", id="deep"),
        pytest.param("units:\n", f"lines: {'[' * 200_000}\nunits:\n", "no YAML", id="deeper"),
        pytest.param("units:\n", "lines: &a [*a]\nunits:\n", "which never ends", id="endless"),
        pytest.param("from: 2025-01-01", "from: 0001-01-01", "lies before 1900", id="year-1"),
        pytest.param(
            "name: Mall",
            "name: 2026-02-30",
            "line 2: '2026-02-30' cannot be read as a date",
            id="no-day",
        ),
        pytest.param("name: Mall", "name: 2026-13-01", "'2026-13-01' cannot be", id="no-month"),
        pytest.param("name: Mall", f"name: {'9' * 5000}", "9...' cannot be read as a", id="digits"),
        pytest.param("name: Mall", "name: !!int abc", "'abc' cannot be read as", id="no-integer"),
        pytest.param("name: Mall", "name: !!bool abc", "'abc' cannot be read as", id="no-bool"),
        pytest.param("name: Mall", "name: !!timestamp abc", "as a date", id="no-timestamp"),
        pytest.param("name: Mall", "name: !!binary abc", "read as !!binary", id="no-binary"),
        pytest.param("name: Mall", "name: !!python/name:os.x", "read as !!python", id="code"),
    ],
)
def test_a_wrong_file_is_refused_with_line_entry_and_remedy(load, old, new, says):
    assert says in refusal(load, old, new)


def test_opening_hours_that_touch_or_run_past_midnight_are_taken(load):
    hours = 'opening_hours: {mon: ["22:00-02:00", "09:00-14:00", "14:00-21:00"]}'
    opening = load(GOOD.replace('business_day_start: "05:00"', hours)).file.site.opening()
    assert opening.weekly == {0: ((1320, 120), (540, 840), (840, 1260))}


def test_an_entrance_that_two_cameras_see_at_once_is_doubtful(load):
    second = "cameras:\n  - {id: cam-2, sees: [door], FROM}\n"
    at_once = load(GOOD.replace("cameras:\n", second.replace("FROM", "from: 2025-01-01")))
    (doubt,) = warnings(at_once.file)
    assert "'door'" in doubt
    assert "'cam-1'" in doubt
    assert "'cam-2'" in doubt
    apart = GOOD.replace("sees: [shelf, door]", "sees: [shelf, door], to: 2025-01-01")
    later = load(apart.replace("cameras:\n", second.replace("FROM", "from: 2025-01-01")))
    assert list(warnings(later.file)) == []


def test_everything_wrong_is_said_at_once(load):
    message = refusal(load, "role: selling, polygon: [[0, 0], [2, 0], [2, 1]]", "role: x")
    assert "'role' is 'x'" in message
    assert "'polygon' is missing" in message


def test_a_coordinate_in_scientific_notation_is_the_number_it_looks_like(load):
    space = load(GOOD.replace("[2, 1]]", "[2, 5e-05]]"))
    assert space.file.zones[0].polygon[2] == (2.0, 5e-05)


def test_validity_begins_at_the_sites_local_midnight(load):
    link = space_tables(load(GOOD))["space_link"].to_pylist()[0]
    assert link["valid_from_utc"] == datetime(2024, 12, 31, 23, tzinfo=UTC)
    assert link["valid_to_utc"] is None
    assert link["ext_ref_code"] == "0001"


def test_a_redrawn_zone_gets_another_geometry_version(load):
    before = load(GOOD).plan().zones[0].geometry_version
    after = load(GOOD.replace("[2, 1]]", "[2, 1.5]]")).plan().zones[0].geometry_version
    assert before != after


def test_one_code_linked_in_two_files_at_once_is_refused(load, tmp_path):
    one = load(GOOD)
    two = load(GOOD.replace("id: mall", "id: other"))
    with pytest.raises(ConfigError, match="would count twice"):
        check_together([one, two])
    check_together(
        [one, load(GOOD.replace("id: mall", "id: other").replace('"0001", unit', '"2", unit'))]
    )


@pytest.mark.data
def test_the_space_file_of_the_demo_street_is_valid(test_data):
    assert load_space(test_data / "video" / "vtest.space.yaml").site_id == "pets-plaza"
