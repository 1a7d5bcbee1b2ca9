"""Campaigns from campaigns.yaml to fct_campaign_effect, over a home of ticket files."""

import json
import os
import re
from datetime import UTC, date, datetime, timedelta

import pytest

from ksi_pipeline.defs.steps.campaigns import EFFECTS
from ksi_pipeline.defs.steps.dbt_command import prepare_manifest

from .homes import make_workspace, query, run

pytestmark = pytest.mark.slow

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FIRST, DURING, LAST = date(2026, 2, 2), date(2026, 2, 16), date(2026, 3, 1)
# net sales of a day before, and what a day of the campaign has more: golden 3.15, of each shop
SHOPS = {
    "t1": (900, 100),
    "t2": (1000, 200),
    "t3": (1100, 150),
    "c1": (700, 30),
    "c2": (800, 50),
    "c3": (900, 40),
}
SPACE = """\
schema: 1
site:
  {id: mall, name: Mall, timezone: Europe/Madrid, currency: EUR, opening_hours: {HOURS}}
units: [UNITS]
links:
LINKS
"""
CONNECTORS = """\
connectors:
  - {id: till, kind: ticket_files, mapping: till, absent_means: zero, active: true}
"""
MAPPING = """\
grain: ticket
covers: days
columns:
  ext_ref_code: store
  ticket_id: "no"
  at: {column: time, zone: site}
  net: net
  currency: currency
"""
CAMPAIGNS = """\
campaigns:
  - id: window
    treated: [mall/t1, mall/t2, mall/t3]
    control: [mall/c1, mall/c2, mall/c3]
    before: {from: 2026-02-02, to: 2026-02-15}
    during: {from: 2026-02-16, to: 2026-03-01}
    metrics: [net_sales, ticket_count]
    margin_rate: 0.4
    cost: 2100
    currency: EUR
"""


def lines():
    day = FIRST
    while day <= LAST:
        for shop, (before, more) in SHOPS.items():
            net = before + more * (day >= DURING)
            yield f"{shop},{shop}-{day},{day} 10:15:00,{net},EUR\n"
        day += timedelta(days=1)


@pytest.fixture(scope="module")
def mall(tmp_path_factory):
    """A home that ran once without campaigns."""
    home = tmp_path_factory.mktemp("campaigns")
    every_day = ", ".join(f'{day}: ["10:00-11:00"]' for day in DAYS)
    links = "\n".join(
        f"  - {{connector: till, ext_ref_code: {shop}, unit: {shop}}}" for shop in SHOPS
    )
    space = SPACE.replace("HOURS", every_day).replace("LINKS", links)
    space = space.replace("UNITS", ", ".join(f"{{id: {shop}}}" for shop in SHOPS))
    for name, text in (
        ("spaces/mall.yaml", space),
        ("connectors.yaml", CONNECTORS),
        ("mappings/till.yaml", MAPPING),
        ("drops/till/sales.csv", "store,no,time,net,currency\n" + "".join(lines())),
    ):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    written = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
    os.utime(home / "drops/till/sales.csv", (written, written))
    workspace = make_workspace(home)
    report = run(workspace, LAST)
    assert (report.failures, report.warnings) == ([], [])
    return workspace


STARTED = "Running with dbt="


def dbt_log(workspace):
    """What dbt wrote down: when it was started, and what it built."""
    return (workspace.home.build_db.parent / "dbt_target" / "dbt.log").read_text()


def judged(workspace, *columns):
    return query(
        workspace.home.root,
        f"select {', '.join(columns)} from fct_campaign_effect order by metric",
    )


@pytest.fixture(scope="module")
def measured(mall):
    """The same home after campaigns.yaml was written, with what the run before it left."""
    before = judged(mall, "campaign_id"), dbt_log(mall)
    mall.home.campaigns.write_text(CAMPAIGNS)
    report = run(mall, LAST)
    assert (report.failures, report.warnings) == ([], [])
    return mall, before


def test_a_home_without_campaigns_and_tenants_has_the_mart_and_starts_dbt_once(measured):
    _, (rows, log) = measured
    assert rows == []
    assert log.count(STARTED) == 1


def test_golden_a_campaign_that_looks_good_before_and_after_is_not_shown(measured):
    workspace, _ = measured
    (found,) = query(
        workspace.home.root,
        "select round(effect_naive, 4), round(effect_did, 4), round(effect_log_did, 4), "
        "round(counterfactual, 2), round(interval_low, 1), round(interval_high, 1), "
        "round(permutation_p, 4), round(roi_naive, 4), round(roi_did, 4), verdict, reason, basis, "
        "currency from fct_campaign_effect where metric = 'net_sales'",
    )
    figures = (150.0, 110.0, 0.0952, 1050.0, -8.1, 228.1, 0.1, 0.2, -0.12)
    assert found == (*figures, "not_shown", None, "measured", "EUR")


def test_what_no_unit_changed_has_no_interval(measured):
    workspace, _ = measured
    said = judged(workspace, "metric", "effect_did", "verdict", "reason", "roi_did")
    assert said[1] == ("ticket_count", 0.0, "cannot_tell", "no_variation", None)


def test_only_the_models_after_python_are_built_when_only_campaigns_changed(measured):
    workspace, (_, before) = measured
    said = dbt_log(workspace).removeprefix(before)
    assert said.count(STARTED) == 1
    nodes = json.loads(prepare_manifest(workspace.dbt_project_dir).read_text())["nodes"].values()
    after = {node["name"] for node in nodes if "after_python" in node["tags"]}
    assert set(re.findall(r"OK created sql \w+ model \w+\.(\w+)", said)) == after


def test_a_run_in_which_nothing_changed_starts_no_dbt_and_publishes_nothing(measured):
    workspace, _ = measured
    before = dbt_log(workspace), os.readlink(workspace.home.current_db)
    assert run(workspace, LAST).changed_nothing
    assert (dbt_log(workspace), os.readlink(workspace.home.current_db)) == before


def test_another_version_of_the_rule_judges_campaigns_anew(measured, monkeypatch):
    workspace, _ = measured
    assert not EFFECTS.is_outdated(workspace)
    monkeypatch.setattr("ksi_pipeline.defs.steps.campaigns.EFFECT_RULE_VERSION", 0)
    assert EFFECTS.is_outdated(workspace)


def test_a_campaign_of_an_unknown_unit_fails_the_run_and_readers_keep_what_they_have(measured):
    workspace, _ = measured
    workspace.home.campaigns.write_text(CAMPAIGNS.replace("mall/c3", "mall/c9"))
    try:
        (failure,) = run(workspace, LAST).failures
    finally:
        workspace.home.campaigns.write_text(CAMPAIGNS)
    assert failure.startswith("E_CAMPAIGN_UNIT: campaigns.yaml line 4: campaign 'window': site")
    assert len(judged(workspace, "metric")) == 2


def test_without_its_file_a_campaign_leaves_the_mart_and_dbt_is_not_started(measured):
    workspace, _ = measured
    before = dbt_log(workspace)
    workspace.home.campaigns.unlink()
    try:
        assert run(workspace, LAST).failures == []
        assert judged(workspace, "metric") == []
        assert dbt_log(workspace) == before
    finally:
        workspace.home.campaigns.write_text(CAMPAIGNS)
