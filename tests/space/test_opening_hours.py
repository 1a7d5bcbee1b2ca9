"""Opening hours of a space file: one week, or weeks one after the other, and single dates."""

from datetime import UTC, date, datetime, timedelta
from textwrap import indent

import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.time import Window
from ksi_pipeline.space.calendar import site_calendar
from ksi_pipeline.space.load import Space, parse_space

HEAD = "schema: 1\nsite:\n  id: mall\n  name: Mall\n  timezone: Europe/Madrid\n  currency: EUR\n"
WEEK = 'mon: ["09:00-21:00"]\nfri: ["09:00-13:00", "18:00-02:00"]\nsun: ["01:00-04:00"]\n'


def space(site: str) -> Space:
    """A space file of only a site, with these keys besides the required ones."""
    return parse_space(HEAD + indent(site, "  "), "mall.yaml")


def weeks(*versions: str) -> str:
    """The key opening_hours with a list of versions."""
    entries = ["  - " + indent(version, "    ").lstrip() for version in versions]
    return "opening_hours:\n" + "".join(entries)


def week_of(day: date) -> Window:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Window(start, start + timedelta(days=7))


@pytest.mark.parametrize(
    "week",
    [
        pytest.param(week_of(date(2026, 3, 2)), id="a week that runs past midnight"),
        pytest.param(week_of(date(2026, 3, 25)), id="23 hours"),
        pytest.param(week_of(date(2026, 10, 21)), id="25 hours"),
    ],
)
def test_a_list_of_one_week_without_dates_gives_the_calendar_of_the_plain_week(week):
    plain = space("opening_hours:\n" + indent(WEEK, "  "))
    listed = space(weeks(WEEK))
    tables = site_calendar(plain, week)
    assert site_calendar(listed, week) == tables
    assert {row["is_hours_known"] for row in tables["site_hours"].to_pylist()} == {True}


def test_each_hour_follows_the_week_that_holds_on_its_date_and_says_where_none_does():
    text = weeks('to: 2026-03-03\nmon: ["09:00-10:00"]\n', 'from: 2026-03-04\nwed: ["11:00-12:00"]')
    tables = site_calendar(space(text), week_of(date(2026, 3, 2)))
    hours = tables["site_hours"].to_pylist()
    opened = {row["local_hour"] for row in hours if row["open_s"] and row["is_hours_known"]}
    assert opened == {datetime(2026, 3, 2, 9), datetime(2026, 3, 4, 11)}
    unknown = [row for row in hours if not row["is_hours_known"]]
    assert {row["local_hour"].date() for row in unknown} == {date(2026, 3, 3)}
    assert {row["open_s"] for row in unknown} == {3600.0}


def test_a_week_with_an_empty_list_is_closed_and_no_week_at_all_is_unknown():
    for text, expected in (("opening_hours: {mon: []}", (True, 0.0)), ("", (False, 3600.0))):
        hours = site_calendar(space(text), week_of(date(2026, 3, 2)))["site_hours"].to_pylist()
        assert {(row["is_hours_known"], row["open_s"]) for row in hours} == {expected}


def test_special_hours_and_closed_dates_are_known_without_any_week():
    text = 'special: {2026-03-02: ["09:00-10:00"]}\nclosed: [2026-03-03]\n'
    hours = site_calendar(space(text), week_of(date(2026, 3, 2)))["site_hours"].to_pylist()
    known = [row for row in hours if row["is_hours_known"]]
    assert {row["local_hour"].date() for row in known} == {date(2026, 3, 2), date(2026, 3, 3)}
    assert [row["local_hour"].hour for row in known if row["open_s"]] == [9]


@pytest.mark.parametrize(
    ("site", "says"),
    [
        pytest.param(
            weeks('mon: ["09:00-10:00"]\n', 'from: 2026-03-04\nmon: ["11:00-12:00"]\n'),
            "line 9: site: entries 1 and 2 of opening_hours hold at the same time; end one",
            id="two at once",
        ),
        pytest.param(
            weeks('to: 2026-03-05\nmon: ["09:00-10:00"]\n', "from: 2026-03-04\nmon: []\n"),
            "line 10: site: entries 1 and 2 of opening_hours hold at the same time",
            id="two that overlap by a day",
        ),
        pytest.param(
            weeks('to: 2026-03-05\nmon: ["09:00-10:00"]\n', "from: 2026-03-05\n"),
            "line 10: site: these opening hours name no weekday; add those on which it opens",
            id="no weekday",
        ),
        pytest.param(
            weeks('to: 2026-03-05\nmon: ["09:00-10:00"]\nmun: []\n'),
            "line 10: site: 'mun' is not a key of this entry",
            id="a misspelt weekday",
        ),
        pytest.param(
            'opening_hours:\n  mon: ["09:00-10:00"]\n  tue: ["9 to 5"]\n',
            "line 9: site: '9 to 5' is no span of hours; write it like",
            id="no span, in one week",
        ),
        pytest.param(
            'opening_hours:\n  mon: ["09:00-10:00"]\n  tue:\n',
            "line 9: site: 'tue' is None: it should be a list",
            id="nothing behind a weekday",
        ),
        pytest.param(
            weeks('mon: ["09:00-10:00"]\ntue: ["09:00-12:00", "11:00-13:00"]\n'),
            "line 9: site: tue: '09:00-12:00' and '11:00-13:00' overlap",
            id="spans that overlap, in a list",
        ),
        pytest.param(
            weeks('from: 2026-03-05\nto: 2026-03-05\nmon: ["09:00-10:00"]\n'),
            "line 8: site: it is valid from 2026-03-05 to 2026-03-05, which is no time at all",
            id="no time at all",
        ),
        pytest.param(
            'special:\n  2026-12-24: ["09:00-14:00"]\n  christmas: []\n',
            "line 9: site: 'christmas' is no date; write it like 2026-12-24",
            id="no date",
        ),
        pytest.param(
            'special:\n  2026-12-24: []\n  "20261224": ["09:00-14:00"]\n',
            "line 9: site: '20261224' is no date; write it like 2026-12-24",
            id="one date in two ways",
        ),
        pytest.param(
            'special:\n  2026-12-24: []\n  2026-W52-4: ["09:00-14:00"]\n',
            "line 9: site: '2026-W52-4' is no date; write it like 2026-12-24",
            id="a day of a week",
        ),
        pytest.param(
            "closed: [86400]\n",
            "line 7: site: 86400 in 'closed': it is no date; write it like 2026-03-27",
            id="a number for a date",
        ),
        pytest.param(
            'closed: [2026-12-25]\nspecial:\n  2026-12-24: []\n  2026-12-25: ["09:00-14:00"]\n',
            "line 10: site: 2026-12-25 has special hours and is closed; remove it from one",
            id="closed and special",
        ),
    ],
)
def test_wrong_opening_hours_are_refused_with_their_line_and_remedy(site, says):
    with pytest.raises(ConfigError) as caught:
        space(site)
    assert f"mall.yaml {says}" in str(caught.value)
    assert "\n" not in str(caught.value)
