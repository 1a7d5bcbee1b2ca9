"""What a space file says about queues and staff, and what it must not say."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.plan import QueueRules, StaffRule
from ksi_pipeline.defs.steps.recipes import SiteRecipes
from ksi_pipeline.space.load import load_space
from ksi_pipeline.space.tables import space_tables

GOOD = """\
schema: 1
site: {id: mall, name: Mall, timezone: Europe/Madrid, currency: EUR}
queues: {join_s: 4, abandon_s: 20, hand_over_s: 6}
staff: {min_s: 600}
units:
  - {id: "0001"}
zones:
  - {id: line, unit: "0001", role: queue, polygon: [[0, 0], [2, 0], [2, 1]], leads_to: [till]}
  - {id: till, unit: "0001", role: service, polygon: [[2, 0], [4, 0], [4, 1]]}
  - {id: behind, unit: "0001", role: staff, polygon: [[4, 0], [5, 0], [5, 1]]}
  - {id: bar, role: service, polygon: [[6, 0], [7, 0], [7, 1]]}
cameras:
  - {id: cam-1, sees: [line, till, behind]}
"""


@pytest.fixture
def load(tmp_path: Path):
    def load_text(text: str):
        path = tmp_path / "mall.yaml"
        path.write_text(text)
        return load_space(path)

    return load_text


def test_the_rules_reach_the_plan(load):
    plan = load(GOOD).plan()
    assert plan.queue_rules == QueueRules(join_s=4, abandon_s=20, hand_over_s=6)
    assert plan.staff_rule == StaffRule(600)
    assert plan.zones[0].leads_to == ("till",)


def test_without_the_keys_queues_have_defaults_and_staff_no_rule(load):
    bare = GOOD.replace("queues: {join_s: 4, abandon_s: 20, hand_over_s: 6}\n", "")
    plan = load(bare.replace("staff: {min_s: 600}\n", "")).plan()
    assert plan.queue_rules == QueueRules(join_s=5.0, abandon_s=30.0, hand_over_s=10.0)
    assert plan.staff_rule is None


def test_a_staff_rule_is_a_row_and_no_rule_is_none(load):
    assert space_tables(load(GOOD))["space_staff"].to_pylist() == [
        {"site_id": "mall", "min_s": 600.0}
    ]
    without = load(GOOD.replace("staff: {min_s: 600}\n", ""))
    assert space_tables(without)["space_staff"].num_rows == 0


def test_a_queue_leads_to_its_list_or_to_all_service_zones_of_its_unit(load):
    listed = space_tables(load(GOOD))["space_zone_leads_to"].to_pylist()
    assert [(row["zone_id"], row["service_zone_id"]) for row in listed] == [("line", "till")]
    more = GOOD.replace(", leads_to: [till]", "").replace("bar, role", 'bar, unit: "0001", role')
    every = space_tables(load(more))["space_zone_leads_to"]["service_zone_id"].to_pylist()
    assert every == ["bar", "till"]


def test_changing_a_rule_for_queues_or_staff_recounts_no_points(load):
    day = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)
    before = load(GOOD)
    other = GOOD.replace("600", "300").replace("join_s: 4", "join_s: 3")
    after = load(other.replace(", leads_to: [till]", ""))
    assert SiteRecipes(before).over(*day) == SiteRecipes(after).over(*day)
    assert before.plan() != after.plan()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "leads_to: [till]",
            "leads_to: [till, bar]",
            "mall.yaml line 8: zone 'line': 'bar' is no zone of role service of unit '0001' (those "
            "are: till)",
            id="service-zone-of-another-unit",
        ),
        pytest.param(
            "[4, 1]]}",
            "[4, 1]], leads_to: [line]}",
            "mall.yaml line 9: zone 'till': only a queue leads to service zones, and its role is "
            "service",
            id="leads-on-from-service",
        ),
        pytest.param(
            "role: staff",
            "role: selling",
            "mall.yaml line 4: staff: the rule counts time in zones of role staff, and there are "
            "none",
            id="no-staff-zone",
        ),
        pytest.param(
            "abandon_s: 20",
            "abandon_s: 3",
            "mall.yaml line 3: queues: abandon_s is 3 and join_s 4: nobody abandons",
            id="abandon-before-join",
        ),
        pytest.param("min_s: 600", "min_s: 0", "'min_s' is 0", id="no-time-at-all"),
        pytest.param("staff: {min_s: 600}", "staff: {}", "'min_s' is missing", id="no-min"),
    ],
)
def test_a_wrong_entry_is_refused_with_line_entry_and_remedy(load, old, new, says):
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(GOOD.replace(old, new))
    assert says in str(caught.value)
