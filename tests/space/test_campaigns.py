"""campaigns.yaml: what is read from it, and that everything wrong is said with its line."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from ksi_pipeline.core.effect_days import Days
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.space.campaigns import load_campaigns
from ksi_pipeline.space.load import parse_space

REPO = Path(__file__).resolve().parents[2]
UNITS = ", ".join(f'{{id: "00{n:02}"}}' for n in (1, 2, 3, 4, 11, 12, 13, 14))
SPACE = f"""\
schema: 1
site: {{id: north-mall, name: North, timezone: Europe/Madrid, currency: EUR}}
units: [{UNITS}]
"""
GOOD = """\
campaigns:
  - id: window
    treated: [north-mall/0001, north-mall/0002]
    control: [north-mall/0011]
    before: {from: 2026-02-02, to: 2026-02-15}
    during: {from: 2026-02-16, to: 2026-03-01}
    metrics: [net_sales]
"""
OTHER = GOOD.removeprefix("campaigns:\n").replace("id: window", "id: other")


@pytest.fixture
def load(tmp_path):
    def read(text):
        path = tmp_path / "campaigns.yaml"
        path.write_text(text)
        return load_campaigns(path, [parse_space(SPACE, "north.yaml")])

    return read


def refusal(load, text):
    with pytest.raises(ConfigError) as refused:
        load(text)
    return refused.value.code, str(refused.value)


def test_no_file_and_an_empty_one_mean_that_there_are_no_campaigns(tmp_path, load):
    assert load_campaigns(tmp_path / "campaigns.yaml") == ()
    assert load("") == load("campaigns:\n") == load("campaigns: []\n") == ()


def test_the_example_is_valid_and_has_every_key(load):
    (campaign,) = load((REPO / "data" / "campaigns.yaml.example").read_text())
    assert (campaign.id, campaign.metrics) == ("spring-window", ("net_sales", "conversion_rate"))
    assert campaign.during == Days(date(2026, 3, 2), date(2026, 3, 29))
    assert (campaign.cost, campaign.currency, campaign.margin_rate) == (Decimal(2100), "EUR", 0.4)
    assert campaign.placebo[0].first == campaign.first == date(2026, 1, 5)


def test_control_units_are_named_or_those_of_the_category(load):
    assert load(GOOD)[0].control == ("north-mall/0011",)
    line = "    control: [north-mall/0011]\n"
    for text in (GOOD.replace(line, ""), GOOD.replace(line, "    control: same_category\n")):
        assert load(text)[0].control is None


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("campaigns:", "campaigns: [", 9, "this is no YAML"),
        ("    metrics: [net_sales]\n", "", 2, "'metrics' is missing; add it"),
        ("metrics: [net_sales]", "metrics: [profit]", 7, "'profit' in 'metrics': it should be"),
        ("metrics: [net_sales]", "metrics: []", 7, "'metrics' is []: it should name one or more"),
        ("metrics: [net_sales]", "metrics: [net_sales, net_sales]", 7, "a metric is listed twice"),
        ("metrics:", "metric:", 7, "'metric' is not a key here"),
        ("north-mall/0001,", "0001x,", 3, "'0001x' in 'treated' is no unit; write it as site"),
        ("[north-mall/0011]", "[]", 4, "'control' is []: it should be same_category, or a list"),
        ("[north-mall/0011]", "like", 4, "'control' is 'like': it should be same_category, or"),
        ("[north-mall/0011]", "7", 4, "'control' is 7: it should be same_category, or a list"),
        ("north-mall/0011", "5", 4, "5 in 'control': it should be text; put it in quotes"),
        ("from: 2026-02-16", "from: 86400", 6, "'from' is 86400: it is no date; write it like"),
        ("to: 2026-02-15", 'to: "20260215"', 5, "'to' is '20260215': it is no date; write it"),
        ("metrics:", "margin_rate: true\n    metrics:", 7, "'margin_rate' is True: it should be a"),
        ("from: 2026-02-16", "from: soon", 6, "it is no date; write it like 2026-03-27"),
        ("to: 2026-03-01", "to: 2026-02-30", 6, "'2026-02-30' cannot be read as a date"),
        ("metrics:", "margin_rate: 40\n    metrics:", 7, "'margin_rate' is 40"),
        ("metrics:", "cost: 0\n    metrics:", 7, "'cost' is 0"),
        ("metrics:", "cost: 7\n    metrics:", 7, "a cost needs its currency"),
        ("metrics:", "currency: euro\n    metrics:", 7, "'currency' is 'euro'"),
        ("[net_sales]\n", f"[net_sales]\n{OTHER.replace('other', 'window')}", 8, "has this id"),
    ],
)
def test_what_is_no_campaign_is_refused_with_its_line(load, old, new, line, said):
    code, message = refusal(load, GOOD.replace(old, new))
    assert code == "E_CAMPAIGNS_FILE"
    assert said in message
    if "no YAML" not in said:
        named = "" if "cannot be read" in said else " campaign 'window'"
        assert f"campaigns.yaml line {line}:{named}" in message


@pytest.mark.parametrize(
    ("old", "new"), [("[north-mall/0011]", "like"), ("north-mall/0011", "0011")]
)
def test_what_is_wrong_with_control_is_said_once(load, old, new):
    _, message = refusal(load, GOOD.replace(old, new))
    assert message.splitlines()[1:] == ["No campaign was loaded."]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("north-mall/0002", "south-mall/0002", 3, "no site 'south-mall'; sites are north-mall"),
        ("north-mall/0002", "north-mall/0009", 3, "site 'north-mall' has no unit '0009'"),
        ("north-mall/0011", "north-mall/0010", 4, "site 'north-mall' has no unit '0010'"),
        ("north-mall/0011", "north-mall/0001", 4, "unit north-mall/0001 is treated too"),
        ("north-mall/0002", "north-mall/0001", 3, "0001 is listed twice in 'treated'; remove one"),
        ("0011]", "0011, north-mall/0011]", 4, "0011 is listed twice in 'control'; remove one"),
    ],
)
def test_units_that_are_not_there_or_in_both_groups_are_refused(load, old, new, line, said):
    code, message = refusal(load, GOOD.replace(old, new))
    assert code == "E_CAMPAIGN_UNIT"
    assert f"campaigns.yaml line {line}: campaign 'window': " in message
    assert said in message


PLACEBO = """\
placebo:
      before: {from: 2026-01-05, to: 2026-01-18}
      during: {from: 2026-01-19, to: 2026-02-20}
    metrics:"""


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("to: 2026-02-15", "to: 2026-02-16", 5, "'before' ends on 2026-02-16, and 'during' begins"),
        ("to: 2026-03-01", "to: 2026-02-01", 6, "the window ends on 2026-02-01, before it begins"),
        ("from: 2026-02-02", "from: 1899-12-31", 5, "has days before 1900 or after 2200"),
        ("to: 2026-03-01", "to: 2201-01-01", 6, "has days before 1900 or after 2200"),
        ("from: 2026-02-02", "from: 2023-02-13", 5, "2023-02-13 to 2026-02-15 has 1,099 days"),
        ("metrics:", PLACEBO, 8, "both before 2026-02-16, when the campaign begins"),
        ("[net_sales]\n", f"[net_sales]\n{OTHER}", 2, "campaign 'other' had unit north-mall/0001"),
    ],
)
def test_windows_that_overlap_are_refused(load, old, new, line, said):
    code, message = refusal(load, GOOD.replace(old, new))
    assert code == "E_CAMPAIGN_WINDOW"
    assert f"campaigns.yaml line {line}: campaign 'window': " in message
    assert said in message


def test_a_window_of_three_years_is_taken(load):
    assert len(load(GOOD.replace("from: 2026-02-02", "from: 2023-02-14"))[0].before) == 1098


def test_a_later_campaign_may_have_the_same_units(load):
    later = OTHER.replace("2026-02-02", "2026-04-06").replace("2026-02-15", "2026-04-19")
    later = later.replace("2026-02-16", "2026-04-20").replace("2026-03-01", "2026-05-03")
    assert [campaign.id for campaign in load(GOOD + later)] == ["other", "window"]


def test_all_that_is_wrong_is_said_at_once(load):
    _, message = refusal(
        load, GOOD.replace("0001", "0021").replace("to: 2026-03-01", "to: 2026-02-01")
    )
    assert len(message.splitlines()) == 3
