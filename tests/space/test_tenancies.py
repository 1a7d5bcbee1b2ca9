"""Tenants share a unit by parts that add up to the whole, or not at all."""

import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.space.load import parse_space
from ksi_pipeline.space.tables import space_tables

HEAD = """\
schema: 1
site: {id: mall, name: Mall, timezone: Europe/Madrid, currency: EUR}
units:
  - id: "0001"
"""


def unit(*tenancies, key="tenancies"):
    """A space file with one unit, whose first entry is on line 6."""
    lines = "".join(f"      - {{{entry}}}\n" for entry in tenancies)
    return parse_space(f"{HEAD}    {key}:\n{lines}", "mall.yaml")


def refusal(*tenancies, key="tenancies"):
    with pytest.raises(ConfigError) as caught:
        unit(*tenancies, key=key)
    assert caught.value.code == "E_SPACE"
    return str(caught.value).splitlines()


def tenancy(name, more=""):
    return f"tenant: {name}, operator: {name}{more}"


def test_shares_that_add_up_to_one_are_taken():
    space = unit(*(tenancy(f"T{n}", f", share: 0.{n}") for n in (1, 2, 7)))
    shares = space_tables(space)["space_tenancy"]["share"].to_pylist()
    assert shares == [0.1, 0.2, 0.7]


def test_one_tenant_after_the_other_needs_no_share():
    space = unit(tenancy("A", ", to: 2026-01-01"), tenancy("B", ", from: 2026-01-01"))
    assert space_tables(space)["space_tenancy"]["share"].to_pylist() == [None, None]


@pytest.mark.parametrize("more", ["", ", share: 0.5"], ids=["none says", "one says"])
def test_an_overlap_without_shares_is_refused_with_the_line_of_each(more):
    said = refusal(tenancy("A", more), tenancy("B", ", from: 2026-01-01"))
    if more:
        assert "from the beginning, it holds alone and its share is 0.5" in said.pop(0)
    assert [line[: line.index(": unit")] for line in said] == [
        "mall.yaml line 6",
        "mall.yaml line 7",
    ]
    assert all("from 2026-01-01 on, entries 1 and 2 of tenancies hold at once" in s for s in said)
    assert all("give each a 'share'" in line for line in said)


@pytest.mark.parametrize("last", ["0.3", "0.300001", "0.299999"])
def test_shares_add_up_exactly(last):
    tenancies = [tenancy("A", ", share: 0.6"), tenancy("B", ", share: 0.1")]
    if last == "0.3":
        assert unit(*tenancies, tenancy("C", f", share: {last}"))
        return
    said = refusal(*tenancies, tenancy("C", f", share: {last}"))
    assert f"do not add up to 1: 0.6 + 0.1 + {last}" in said[0]
    assert len(said) == 3


def test_shares_add_up_on_each_day_and_not_only_on_the_first():
    begins = ", share: 0.5, from: 2025-01-01"
    said = refusal(tenancy("A", begins), tenancy("B", f"{begins}, to: 2026-01-01"))
    assert said == [
        "mall.yaml line 6: unit '0001': from 2026-01-01 on, it holds alone and its share is 0.5: "
        "nobody has the rest; add who has, or leave 'share' out."
    ]


def test_what_is_wrong_all_the_time_is_said_once():
    cuts = [tenancy("C", ", from: 2026-01-01"), tenancy("A"), tenancy("B")]
    said = [line for line in refusal(*cuts) if "entries 2 and 3 of" in line]
    assert len(said) == 2


def test_a_tenant_is_in_a_unit_once_at_a_time():
    said = refusal(tenancy("A", ", share: 0.5"), tenancy("A", ", share: 0.5"))
    assert "'A' is in two of them" in said[0]


@pytest.mark.parametrize(
    ("share", "says"),
    [("0.3333333", "more than six decimals"), ("0", "greater than 0"), ("1.5", "less than or")],
)
def test_a_share_is_a_part_in_millionths(share, says):
    assert says in refusal(tenancy("A", f", share: {share}"))[0]


def test_two_areas_at_once_are_refused():
    said = refusal("gla_m2: 120", "gla_m2: 100, from: 2026-01-01", key="areas")
    assert said == [
        "mall.yaml line 7: unit '0001': its area is already given by entry 1 of areas for the same "
        "time; remove one, or end the first with 'to' on the day the second begins."
    ]
    assert unit("gla_m2: 120, to: 2026-01-01", "gla_m2: 100, from: 2026-01-01", key="areas")
