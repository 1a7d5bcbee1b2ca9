"""Which hours a feed is asked for, worked by hand and over any history of ticks and failures."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksi_pipeline.core.asking import AskingRules, Swept, first_hour, plan
from ksi_pipeline.core.gaps import Answered, Linked, Question, answered_by_code, missing
from ksi_pipeline.core.schedule import next_tick, read_rule
from ksi_pipeline.core.time import Window, local_hours

MADRID = ZoneInfo("Europe/Madrid")
UTC_ZONE = ZoneInfo("UTC")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = AskingRules()
NOW = datetime(2026, 5, 20, 12, 5, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
SWEPT = Swept(date(2026, 5, 20), date(2026, 4, 1))
LINKS = [Linked("0001"), Linked("0002")]
ALL = ("0001", "0002")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(start: str, end: str) -> Window:
    return Window(at(start), at(end))


def asked(known=(), *, now=NOW, swept=SWEPT, links=LINKS, start=JANUARY, **changes):
    answered = answered_by_code(known)
    given = {"zone": UTC_ZONE, "rules": RULES, **changes}
    return plan(links, answered, swept, start=start, now=now, **given)


def answer(start: str, end: str, fetched: str = "2026-05-20T12:00", codes=ALL) -> Answered:
    return Answered(at(start), at(end), at(fetched), tuple(codes))


SINCE_JANUARY = answer("2026-01-01", "2026-05-20T12:00")


def test_the_steady_state_is_one_request_for_the_hours_of_the_last_three_days():
    known = answer("2026-01-01", "2026-05-20T11:00")
    assert asked([known]).questions == (
        Question(window("2026-05-17T11:00", "2026-05-20T12:00"), ALL),
    )


def test_an_hour_is_asked_for_once_more_when_it_can_no_longer_change():
    (question,) = asked([SINCE_JANUARY]).questions
    became_final = at("2026-05-17T11:00")
    assert question.window.start == became_final <= NOW - 73 * HOUR + HOUR


def test_once_a_day_the_rest_of_the_last_seven_days_is_asked_in_a_request_of_its_own():
    yesterday = Swept(date(2026, 5, 19), SWEPT.month)
    found = asked([SINCE_JANUARY], swept=yesterday)
    assert found.questions == (
        Question(window("2026-05-17T11:00", "2026-05-20T12:00"), ALL),
        Question(window("2026-05-13T12:00", "2026-05-17T11:00"), ALL),
    )
    assert found.swept == SWEPT


def test_a_month_is_asked_whole_once_when_its_last_hour_is_no_longer_young():
    march = Swept(date(2026, 5, 3), date(2026, 3, 1))
    known = answer("2026-01-01", "2026-05-04T00:00", "2026-05-04T00:05")
    on_the_fourth = asked([known], now=at("2026-05-04T00:05"), swept=march)
    windows = [q.window for q in on_the_fourth.questions]
    assert windows[-1].start == at("2026-04-01")
    assert windows[0] == window("2026-04-30T23:00", "2026-05-04T00:00")
    assert on_the_fourth.swept.month == date(2026, 4, 1)
    later = asked([known], now=at("2026-05-04T01:05"), swept=on_the_fourth.swept)
    assert len(later.questions) == 1
    third = asked([known], now=at("2026-05-03T23:05"), swept=Swept(date(2026, 5, 2), march.month))
    assert third.swept.month == date(2026, 3, 1)


def test_a_month_that_becomes_final_in_the_middle_of_a_day_is_asked_the_next():
    rules = AskingRules(young=80 * HOUR)
    swept = asked(now=at("2026-05-04T07:05"), swept=Swept(), rules=rules).swept
    assert swept.month == date(2026, 3, 1)
    swept = asked(now=at("2026-05-04T08:05"), swept=swept, rules=rules).swept
    assert swept.month == date(2026, 3, 1)
    found = asked(now=at("2026-05-05T00:05"), swept=swept, rules=rules)
    assert found.swept.month == date(2026, 4, 1)
    assert at("2026-04-01") in {q.window.start for q in found.questions}


def test_a_month_is_a_calendar_month_on_the_clock_of_the_site():
    february = Swept(date(2026, 4, 3), date(2026, 2, 1))
    found = asked(
        [answer("2026-01-01", "2026-04-04T12:00", "2026-04-04T12:00")],
        now=at("2026-04-04T12:05"),
        swept=february,
        zone=MADRID,
    )
    assert found.questions[-1].window.start == at("2026-02-28T23:00")


FIRST_DAY = Swept(date(2026, 5, 19), date(2026, 3, 1))


def test_what_is_due_is_asked_newest_first_and_no_request_holds_hours_of_two_reasons():
    found = asked([SINCE_JANUARY], swept=FIRST_DAY)
    starts = [q.window.start for q in found.questions]
    assert starts == sorted(starts, reverse=True)
    young, day = at("2026-05-17T11:00"), at("2026-05-13T12:00")
    assert {young, day} <= set(starts)


def test_a_month_that_fails_is_asked_again_the_next_day_and_not_at_the_next_tick():
    found = asked([SINCE_JANUARY], swept=FIRST_DAY)
    swept = found.noted([window("2026-04-01", "2026-04-08")])
    assert swept == Swept(date(2026, 5, 20), date(2026, 3, 1))
    assert len(asked([SINCE_JANUARY], now=NOW + HOUR, swept=swept).questions) == 1
    tomorrow = asked([SINCE_JANUARY], now=NOW + DAY, swept=swept)
    assert at("2026-04-01") in {q.window.start for q in tomorrow.questions}


def test_a_day_that_fails_keeps_the_month_that_was_answered():
    found = asked([SINCE_JANUARY], swept=FIRST_DAY)
    swept = found.noted([window("2026-05-14", "2026-05-15")])
    assert swept == Swept(date(2026, 5, 19), date(2026, 4, 1))


def test_young_hours_that_fail_are_asked_at_the_next_tick_anyway():
    found = asked([SINCE_JANUARY], swept=FIRST_DAY)
    assert found.noted([window("2026-05-19", "2026-05-20")]) == SWEPT


def test_six_hours_out_of_order_within_the_last_days_cost_no_request_more():
    known = answer("2026-01-01", "2026-05-20T06:00")
    assert len(asked([known]).questions) == 1


def test_an_old_gap_is_asked_for_and_no_hour_beside_it():
    known = [
        answer("2026-01-01", "2026-03-02T10:00"),
        answer("2026-03-02T16:00", "2026-05-20T12:00"),
    ]
    _, gap = asked(known).questions
    assert gap == Question(window("2026-03-02T10:00", "2026-03-02T16:00"), ALL, is_catch_up=True)


def test_an_answer_that_came_before_its_hour_was_over_does_not_count_for_that_hour():
    known = [
        answer("2026-01-01", "2026-03-02T10:00"),
        answer("2026-03-02T10:00", "2026-03-02T14:00", "2026-03-02T12:30"),
        answer("2026-03-02T14:00", "2026-05-20T12:00"),
    ]
    _, gap = asked(known).questions
    assert gap.window == window("2026-03-02T12:00", "2026-03-02T14:00")


def test_a_code_linked_later_and_back_dated_gets_its_past_alone():
    links = [*LINKS, Linked("0003", at("2026-04-01"))]
    _, *past = asked([SINCE_JANUARY], links=links).questions
    assert {q.codes for q in past} == {("0003",)}
    assert min(q.window.start for q in past) == at("2026-04-01")
    assert max(q.window.end for q in past) == at("2026-05-17T11:00")


def test_a_code_is_asked_for_only_while_it_is_linked():
    links = [Linked("0001"), Linked("0002", at("2026-03-01"), at("2026-03-02"))]
    found = missing(links, {}, window("2026-02-20", "2026-03-10"), zone=UTC_ZONE, longest=DAY)
    assert [q.window for q in found if "0002" in q.codes] == [window("2026-03-01", "2026-03-02")]


def test_nothing_before_since_is_asked():
    found = asked(start=at("2026-05-19T00:00"), swept=Swept())
    assert [q.window for q in found.questions] == [window("2026-05-19", "2026-05-20T12:00")]
    assert asked(start=at("2026-05-21")).questions == ()


def test_a_tick_catches_up_with_a_few_windows_and_backfill_takes_the_rest():
    found = asked(start=at("1996-01-01"))
    caught_up = [q for q in found.questions if q.is_catch_up]
    assert len(caught_up) == RULES.most_catch_up


def test_requests_that_go_on_failing_do_not_keep_the_others_from_being_asked():
    starts = set()
    for hour in range(500):
        found = asked(start=at("2025-06-01"), now=NOW + hour * HOUR)
        starts |= {q.window.start.date() for q in found.questions if q.is_catch_up}
    weeks = {at("2025-06-01").date() + n * 7 * DAY for n in range(50)}
    assert weeks <= starts


def test_days_asked_for_by_name_are_asked_whatever_is_known_and_never_twice():
    found = asked([SINCE_JANUARY], also=window("2026-05-16", "2026-05-18"))
    assert [q.window for q in found.questions] == [
        window("2026-05-17T11:00", "2026-05-20T12:00"),
        window("2026-05-16", "2026-05-17T11:00"),
    ]


def test_days_asked_for_by_name_may_lie_before_since():
    found = asked([SINCE_JANUARY], start=at("2026-05-20"), also=window("2024-01-01", "2024-01-03"))
    assert found.questions[-1].window == window("2024-01-01", "2024-01-03")


def test_without_since_nothing_older_than_35_days_or_the_first_answer_is_asked():
    old = answered_by_code([answer("2020-01-01", "2020-01-02")])
    assert first_hour(None, old, NOW, UTC_ZONE) == at("2026-05-16T12:00")
    recent = answered_by_code([answer("2026-05-01", "2026-05-02")])
    assert first_hour(None, recent, NOW, UTC_ZONE) == at("2026-05-01")
    long_ago = answered_by_code([answer("2026-01-01", "2026-05-02")])
    assert first_hour(None, long_ago, NOW, UTC_ZONE) == at("2026-04-15T12:00")
    assert first_hour(date(2026, 3, 29), old, NOW, MADRID) == at("2026-03-28T23:00")


@pytest.mark.parametrize(
    "zone",
    [
        pytest.param("Europe/Madrid", id="summer-time-to-october-since-1996"),
        pytest.param("America/Santiago", id="ten-different-rules"),
        pytest.param("America/Caracas", id="half-an-hour-back-2007-and-on-2016"),
        pytest.param("Pacific/Apia", id="without-30-december-2011"),
        pytest.param("Australia/Lord_Howe", id="half-hour-summer-time"),
        pytest.param("Asia/Kathmandu", id="quarter-hours"),
    ],
)
def test_thirty_years_are_asked_in_whole_local_hours_that_tile_them(zone):
    tz = ZoneInfo(zone)
    start, end = (datetime(year, 1, 1, tzinfo=tz).astimezone(UTC) for year in (1996, 2026))
    found = missing(LINKS, {}, Window(start, end), zone=tz, longest=RULES.longest)
    assert (found[0].window.start, found[-1].window.end) == (start, end)
    for before, after in pairwise(q.window for q in found):
        assert before.end == after.start
        assert before.end - before.start > RULES.longest - 2 * HOUR
        (hour, *_) = local_hours(Window(after.start, after.start + HOUR / 2), tz)
        assert hour.from_utc == after.start


def is_disjoint(questions) -> bool:
    for code in {code for q in questions for code in q.codes}:
        spans = sorted((q.window.start, q.window.end) for q in questions if code in q.codes)
        if any(end > start for (_, end), (start, _) in pairwise(spans)):
            return False
    return True


TICKS = st.lists(
    st.tuples(
        # minutes until the tick, up to 20 days of downtime; and what fails of its questions
        st.one_of(st.just(60), st.integers(1, 90), st.integers(1, 20 * 24 * 60)),
        st.sampled_from(["none", "all", "odd", "catch-up"]),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(
    ticks=TICKS,
    zone=st.sampled_from([MADRID, ZoneInfo("Asia/Kathmandu"), ZoneInfo("Australia/Lord_Howe")]),
    begin=st.sampled_from([at("2026-03-27T03:07"), at("2026-10-23T17:31"), at("2026-04-03T01:00")]),
    linked_from=st.integers(-30, 30),
)
def test_once_the_feed_answers_every_hour_was_asked_for_after_it_was_over(
    ticks, zone, begin, linked_from
):
    start = at("2026-02-01")
    links = [Linked("0001"), Linked("late", start + linked_from * DAY)]
    known: list[Answered] = []
    swept, now = Swept(), begin
    recovery = [(60, "none")] * 12
    for number, (minutes, fails) in enumerate([*ticks, *recovery]):
        now += timedelta(minutes=minutes)
        # the late link is made on the fifth tick
        found = plan(
            links if number > 4 else links[:1],
            answered_by_code(known),
            swept,
            start=start,
            now=now,
            zone=zone,
            rules=RULES,
        )
        assert is_disjoint(found.questions)
        assert all(q.window.end <= now for q in found.questions)
        assert all(q.window.end - q.window.start <= RULES.longest for q in found.questions)
        failed = {
            "none": lambda n, q: False,
            "all": lambda n, q: True,
            "odd": lambda n, q: n % 2 == 1,
            "catch-up": lambda n, q: q.is_catch_up,
        }[fails]
        good = [q for n, q in enumerate(found.questions) if not failed(n, q)]
        known += [Answered(q.window.start, q.window.end, now, q.codes) for q in good]
        if all(q in good for q in found.questions if not q.is_catch_up):
            swept = found.swept
    answered = answered_by_code(known)
    for link in links:
        first = max(start, link.start or start)
        hours = [h for h in local_hours(Window(first, now), zone) if h.end_utc <= now]
        lacking = [
            hour.from_utc
            for hour in hours
            if not any(
                w.start <= hour.from_utc and hour.end_utc <= w.end for w in answered[link.code]
            )
        ]
        assert lacking == []
    # and from then on one request an hour is enough
    steady = plan(
        links, answered, swept, start=start, now=now + timedelta(minutes=1), zone=zone, rules=RULES
    )
    assert len(steady.questions) == 1


@pytest.mark.parametrize(
    ("every", "final_after"),
    [
        ("12h", 7 * DAY),
        ("1d", 3 * DAY),
        ("1d", 7 * DAY),
        ("1d", 10 * DAY),
        ("1w", 3 * DAY),
        ("1w", 10 * DAY),
        ("1mo", 3 * DAY),
        ("1mo", 20 * DAY),
    ],
)
def test_every_hour_is_asked_by_the_first_tick_after_it_can_no_longer_change(every, final_after):
    rule, rules = read_rule(every), AskingRules(young=final_after)
    begin, days = at("2026-01-10"), 100
    now, swept, known = begin + timedelta(minutes=2), Swept(), []
    ticks = []
    while now < begin + days * DAY:
        ticks.append(now)
        found = plan(
            [Linked("A")],
            answered_by_code(known),
            swept,
            start=begin - 5 * DAY,
            now=now,
            zone=MADRID,
            rules=rules,
        )
        known += [Answered(q.window.start, q.window.end, now, ("A",)) for q in found.questions]
        swept = found.swept
        now = next_tick(rule, now, MADRID) + timedelta(minutes=2)
    late = []
    for hour in local_hours(Window(begin, ticks[-1] - final_after - 32 * DAY), MADRID):
        final = hour.end_utc + final_after
        then = [a.fetched_at_utc for a in known if a.start <= hour.from_utc < a.end]
        # of a day's first tick: the rest of the seven days is asked once a day
        wanted = next(t for t in ticks if t >= final + (DAY if every == "12h" else timedelta()))
        if not any(final <= at_ <= wanted for at_ in then):
            late.append(hour.from_utc)
    assert late == []


@pytest.mark.parametrize("zone", [MADRID, ZoneInfo("Australia/Lord_Howe")], ids=str)
def test_two_months_of_hourly_ticks_ask_a_little_more_than_once_a_tick(zone):
    known, swept, counts = [], Swept(), Counter()
    begin = at("2026-01-10T00:05")
    for hour in range(60 * 24):
        now = begin + hour * HOUR
        found = plan(
            [Linked("0001")],
            answered_by_code(known),
            swept,
            start=at("2026-01-01"),
            now=now,
            zone=zone,
            rules=RULES,
        )
        known = known[-200:] + [
            Answered(q.window.start, q.window.end, now, q.codes) for q in found.questions
        ]
        swept = found.swept
        if hour > 0:
            counts[len([q for q in found.questions if not q.is_catch_up])] += 1
    # one more on each day, and five more on the day that a month is asked
    assert counts[1] >= 60 * 24 - 62
    assert max(counts) <= 6
