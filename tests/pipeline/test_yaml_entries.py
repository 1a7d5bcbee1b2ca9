"""Entries of a YAML list come, change and go; everything else in the file stays as it was."""

from datetime import date

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.yaml_entries import with_entry, with_values, without_entry

NEW = {"id": "c", "code": "0001", "url": "https://x/?a=b,c", "on": True, "from": date(2026, 1, 2)}
BLOCK = """\
# top
connectors:   # all of them
  - id: a   # first
    n: 1
  # about b
  -
    id: "b"  # second
    n: 2 # two
# below
other: [1, 2]
"""
FLOW = "schema: 1\nconnectors: [{id: a, n: 1}, {id: b, n: 2} # two\n]\n# end\n"
INDENTLESS = "connectors:\n- id: a\n  n: 1\n- {id: b, n: 2}\n"
FILES = {"block": BLOCK, "flow": FLOW, "indentless": INDENTLESS}
EMPTY = {
    "nothing": "",
    "comment": "# only this\n",
    "other key": "other: 1",
    "empty list": "# top\nconnectors: []\n",
    "empty list, no line end": "connectors: []",
    "comment after": "connectors: []  # none yet\nother: 1\n",
    "null": "connectors:\n#  - id: commented\nother: 1\n",
    "null, no line end": "connectors:",
}


def comments(text):
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_an_entry_is_added_behind_the_last_and_all_other_text_stays(text):
    new = with_entry(text, "connectors", NEW)
    assert yaml.safe_load(new)["connectors"][2] == NEW
    rest = iter(new)
    assert all(character in rest for character in text)


@pytest.mark.parametrize("text", EMPTY.values(), ids=EMPTY)
def test_the_first_entry_makes_the_list(text):
    new = with_entry(text, "connectors", NEW)
    assert yaml.safe_load(new)["connectors"] == [NEW]
    assert comments(new) == comments(text)


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
@pytest.mark.parametrize("index", [0, 1])
def test_values_are_set_in_one_entry_only(text, index):
    new = with_values(text, "connectors", index, {"n": 9, "code": "0001"})
    entries = yaml.safe_load(new)["connectors"]
    assert entries[index] == {"id": "ab"[index], "n": 9, "code": "0001"}
    assert entries[1 - index] == yaml.safe_load(text)["connectors"][1 - index]
    assert comments(new) == comments(text)


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
@pytest.mark.parametrize("index", [0, 1])
def test_one_entry_is_removed(text, index):
    new = without_entry(text, "connectors", index)
    assert [entry["id"] for entry in yaml.safe_load(new)["connectors"]] == ["ba"[index]]
    again = without_entry(new, "connectors", 0)
    assert yaml.safe_load(again)["connectors"] == []
    assert yaml.safe_load(with_entry(again, "connectors", NEW))["connectors"] == [NEW]


def test_comments_beside_a_removed_entry_stay():
    new = without_entry(BLOCK, "connectors", 0)
    assert comments(new) == [" top", " all of them", " about b", " second", " two", " below"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x: &a {id: a, n: 1}\nconnectors: [*a]\n", id="anchor"),
        pytest.param("connectors: [{}]\n", id="empty entry"),
    ],
)
def test_a_file_that_cannot_be_followed_is_refused(text):
    with pytest.raises(ConfigError) as refused:
        with_values(text, "connectors", 0, {"n": 2})
    assert refused.value.code == "E_YAML_EDIT"


SCALARS = st.one_of(
    *(st.text(max_size=12), st.integers(-99, 99), st.booleans(), st.dates(min_value=date(1, 1, 1))),
    st.sampled_from(["0001", "null", "a: b", "x # y", "- z", "{", "yes", "2026-01-01", "", "'"]),
)


@example(text=FILES["block"], entry={"id": "\x85"})
@example(text=FILES["block"], entry={"id": "a\u2028b", "url": "ü"})
@settings(max_examples=60, deadline=None)
@given(
    text=st.sampled_from([*FILES.values(), *EMPTY.values()]),
    entry=st.dictionaries(st.sampled_from(["id", "url", "k"]), SCALARS, min_size=1),
)
def test_whatever_is_added_is_read_back_as_it_was_meant(text, entry):
    new = with_entry(text, "connectors", entry)
    assert yaml.safe_load(new)["connectors"][-1] == entry
