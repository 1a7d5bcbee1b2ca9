"""The contract's request and answer, byte for byte, over real HTTP."""

import hashlib
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksi_pipeline.connectors.base import Answer, Connector
from ksi_pipeline.connectors.hourly_api import LONGEST_URL, hourly_windows, request_url
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.connectors.registry import make_connector
from ksi_pipeline.core.errors import ConfigError, ContractError, FeedRefused, FeedUnavailable
from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.core.ticket_revisions import new_revisions
from ksi_pipeline.core.tickets import ParsedAnswer, parse_hourly_answer
from ksi_pipeline.core.time import Window, local_hours
from ksi_pipeline.http import HttpClient
from ksi_pipeline.sandbox.pos_api import Fault, PosApi

SECRET = "s3cret-Token.42"
SANTIAGO = ZoneInfo("America/Santiago")
NEW_YORK = ZoneInfo("America/New_York")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GUIDE_WINDOW = Window(
    datetime.fromisoformat("2023-02-08T09:00:00-03:00"),
    datetime.fromisoformat("2023-02-08T11:00:00-03:00"),
)
GUIDE_ROWS = [
    {"time": f"2023-02-08T{hour}:00:00-03:00", "ext_ref_code": code, "num_tickets": count}
    for hour, code, count in [
        *(("09", "0001", 25), ("10", "0001", 30)),
        *(("09", "0002", 150), ("10", "0002", 230)),
    ]
]


def connector_of(api: PosApi, secret: str = SECRET, **changes) -> Connector:
    config = HourlyApiConfig.model_validate(
        {
            "id": "pos-main",
            "kind": "hourly_api",
            "url": api.url,
            "token_env": "POS_TOKEN",
            "allow_http": True,
            "allow_private": True,
            **changes,
        }
    )
    http = HttpClient(config.http_limits(), sleep=lambda _: None)
    return make_connector(config, {"POS_TOKEN": secret}.get, lambda: NOW, http)


def read(answer: Answer) -> ParsedAnswer:
    return parse_hourly_answer(answer.body, answer.fetch, known_codes=set(answer.codes))


def test_the_contracts_example_request_is_sent_byte_for_byte():
    with PosApi(GUIDE_ROWS, token=SECRET) as api:
        (answer,) = connector_of(api).fetch(GUIDE_WINDOW, ["0001", "0002"], SANTIAGO)
    assert api.requests[0].target == (
        b"/sales?fromTime=2023-02-08T09:00:00-03:00&toTime=2023-02-08T10:59:59-03:00"
        b"&ext_ref_codes=0001&ext_ref_codes=0002"
    )
    assert answer.url == f"{api.url}{api.requests[0].target.decode()[len('/sales') :]}"
    assert answer.sha256 == hashlib.sha256(answer.body).hexdigest()
    assert (answer.codes, answer.fetched_at_utc) == (("0001", "0002"), NOW)


def test_the_contracts_example_answer_is_four_rows_435_tickets_and_two_hours():
    with PosApi(GUIDE_ROWS, token=SECRET) as api:
        (answer,) = connector_of(api).fetch(GUIDE_WINDOW, ["0001", "0002"], SANTIAGO)
    rows = read(answer).rows
    assert rows.num_rows == 4
    assert sum(rows["num_tickets"].to_pylist()) == 435
    hours = {start.isoformat() for start in rows["hour_start_utc"].to_pylist()}
    assert hours == {"2023-02-08T12:00:00+00:00", "2023-02-08T13:00:00+00:00"}


def test_a_positive_offset_arrives_intact():
    start = datetime.fromisoformat("2026-03-02T09:00:00+05:45")
    rows = [{"time": start.isoformat(), "ext_ref_code": "7", "num_tickets": 4}]
    with PosApi(rows, token=SECRET) as api:
        (answer,) = connector_of(api).fetch(Window(start, start + HOUR), ["7"], KATHMANDU)
    assert b"fromTime=2026-03-02T09:00:00%2B05:45&" in api.requests[0].target
    assert read(answer).rows["num_tickets"].to_pylist() == [4]


def test_codes_arrive_as_they_are_and_each_once():
    codes = ["0001", "A&B=1", "ñ 7/+%", "0001"]
    time = "2023-02-08T09:00:00-03:00"
    rows = [{"time": time, "ext_ref_code": code, "num_tickets": 1} for code in codes[:3]]
    with PosApi(rows, token=SECRET) as api:
        (answer,) = connector_of(api).fetch(GUIDE_WINDOW, codes, SANTIAGO)
    assert answer.codes == tuple(codes[:3])
    assert read(answer).rows["ext_ref_code"].to_pylist() == codes[:3]


def test_many_codes_are_asked_in_several_requests_that_each_stay_short():
    codes = [f"store-{number:04d}" for number in range(200)]
    time = "2023-02-08T09:00:00-03:00"
    rows = [{"time": time, "ext_ref_code": code, "num_tickets": 1} for code in codes]
    with PosApi(rows, token=SECRET) as api:
        answers = connector_of(api).fetch(GUIDE_WINDOW, codes, SANTIAGO)
    assert len(answers) > 1
    assert [code for answer in answers for code in answer.codes] == codes
    assert max(len(answer.url) for answer in answers) <= LONGEST_URL
    assert sum(read(answer).rows.num_rows for answer in answers) == 200


def test_a_code_that_fits_no_request_is_refused_before_anything_is_asked():
    with PosApi([], token=SECRET) as api, pytest.raises(ConfigError) as refused:
        connector_of(api).fetch(GUIDE_WINDOW, ["x" * 2000], SANTIAGO)
    assert refused.value.code == "E_URL_TOO_LONG"
    assert api.requests == []


def test_no_codes_ask_nothing():
    with PosApi([], token=SECRET) as api:
        assert connector_of(api).fetch(GUIDE_WINDOW, [], SANTIAGO) == []
    assert api.requests == []


def test_an_endpoint_with_a_query_of_its_own_keeps_it():
    url = request_url("https://example.com/s?tenant=4", GUIDE_WINDOW, ["1"], SANTIAGO)
    assert url.startswith("https://example.com/s?tenant=4&fromTime=2023-02-08T09:00:00-03:00&")


def test_a_window_that_cuts_an_hour_is_refused_before_anything_is_asked():
    half = timedelta(minutes=30)
    with PosApi([], token=SECRET) as api:
        for window in (
            Window(GUIDE_WINDOW.start + half, GUIDE_WINDOW.end),
            Window(GUIDE_WINDOW.start, GUIDE_WINDOW.end - half),
        ):
            with pytest.raises(ContractError) as refused:
                connector_of(api).fetch(window, ["1"], SANTIAGO)
            assert refused.value.code == "E_WINDOW_NOT_ALIGNED"
    assert api.requests == []


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        pytest.param(Fault(status=500, times=9), FeedUnavailable, "E_FEED_UNAVAILABLE", id="500"),
        pytest.param(Fault(latency_s=0.3, times=9), FeedUnavailable, "E_FEED_TIMEOUT", id="slow"),
        pytest.param(Fault(status=403), FeedRefused, "E_FEED_AUTH", id="forbidden"),
        pytest.param(Fault(status=301), FeedRefused, "E_FEED_REDIRECT", id="redirect"),
    ],
)
def test_a_feed_that_fails_is_named_with_what_it_did(fault, kind, code, caplog):
    caplog.set_level(logging.DEBUG)
    with PosApi(GUIDE_ROWS, token=SECRET, faults=[fault]) as api:
        connector = connector_of(api, read_timeout_s=0.1, max_attempts=2)
        with pytest.raises(kind, match="Connector 'pos-main'") as failed:
            connector.fetch(GUIDE_WINDOW, ["0001"], SANTIAGO)
    assert failed.value.code == code
    assert SECRET not in str(failed.value) + repr(connector) + caplog.text


def test_a_wrong_token_is_refused():
    with PosApi(GUIDE_ROWS, token=SECRET) as api, pytest.raises(FeedRefused) as refused:
        connector_of(api, secret="old-token").fetch(GUIDE_WINDOW, ["0001"], SANTIAGO)
    assert refused.value.code == "E_FEED_AUTH"
    assert "old-token" not in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(Fault(body=b"<html>Sign in</html>"), "E_NOT_JSON", id="html"),
        pytest.param(
            Fault(body=lambda rows: b'{"data": ' + rows + b"}"), "E_NOT_LIST", id="object"
        ),
    ],
)
def test_an_answer_of_another_shape_arrives_whole_and_is_refused_when_read(fault, code):
    with PosApi(GUIDE_ROWS, token=SECRET, faults=[fault]) as api:
        (answer,) = connector_of(api).fetch(GUIDE_WINDOW, ["0001"], SANTIAGO)
    with pytest.raises(ContractError) as refused:
        read(answer)
    assert refused.value.code == code


def test_bad_rows_are_refused_one_by_one_and_good_ones_arrive():
    good, bad = GUIDE_ROWS[0], {**GUIDE_ROWS[1], "num_tickets": "30"}
    served = Fault(body=json.dumps([good, bad]).encode())
    with PosApi([], token=SECRET, faults=[served]) as api:
        (answer,) = connector_of(api).fetch(GUIDE_WINDOW, ["0001"], SANTIAGO)
    parsed = read(answer)
    assert parsed.rows.num_rows == 1
    assert [row.code for row in parsed.rejected] == ["E_NUM_TICKETS_TYPE"]


def test_a_corrected_hour_is_one_revision_and_an_unchanged_poll_is_none():
    with PosApi(GUIDE_ROWS, token=SECRET) as api:
        connector = connector_of(api)
        known = TICKET_HOURS.empty_table()
        counts = []
        for rows in (
            GUIDE_ROWS,
            GUIDE_ROWS,
            [{**GUIDE_ROWS[0], "num_tickets": 27}, *GUIDE_ROWS[1:]],
        ):
            api.replace_rows(rows)
            (answer,) = connector.fetch(GUIDE_WINDOW, ["0001", "0002"], SANTIAGO)
            added = new_revisions(read(answer), known, absent_means="zero")
            known = pa.concat_tables([known, added])
            counts.append(added.num_rows)
    assert counts == [4, 0, 1]


def test_the_spring_day_of_madrid_is_asked_with_both_offsets():
    madrid = ZoneInfo("Europe/Madrid")
    day = Window(datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
    assert request_url("u", day, ["1"], madrid) == (
        "u?fromTime=2026-03-29T00:00:00%2B01:00&toTime=2026-03-29T23:59:59%2B02:00&ext_ref_codes=1"
    )


def test_a_utc_day_in_kathmandu_is_the_hours_that_start_in_it():
    day = Window(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
    (window,) = hourly_windows(day, KATHMANDU, DAY)
    assert window.start == datetime(2026, 3, 2, 0, 15, tzinfo=UTC)
    assert window.end - window.start == DAY


def test_a_window_in_which_no_hour_starts_gives_nothing_to_ask():
    start = datetime(2026, 3, 2, 9, 5, tzinfo=UTC)
    assert hourly_windows(Window(start, start + HOUR / 4), ZoneInfo("UTC"), DAY) == []


def test_request_windows_shorter_than_an_hour_are_refused():
    with pytest.raises(ConfigError):
        hourly_windows(GUIDE_WINDOW, SANTIAGO, HOUR / 2)


ZONES = ["Europe/Madrid", "Asia/Kathmandu", "America/Santiago", "Australia/Lord_Howe", "UTC"]


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),
    st.integers(60, 60 * 24 * 40),
    st.sampled_from(ZONES),
    st.sampled_from([HOUR, DAY, 7 * DAY]),
)
@settings(max_examples=80, deadline=None)
def test_request_windows_lose_no_hour_share_none_and_stay_short(start, minutes, zone, longest):
    window, tz = Window(start, start + timedelta(minutes=minutes)), ZoneInfo(zone)
    windows = hourly_windows(window, tz, longest)
    assert all(piece.end - piece.start <= longest for piece in windows)
    asked = [hour.from_utc for piece in windows for hour in local_hours(piece, tz)]
    begun = [hour.from_utc for hour in local_hours(window, tz) if hour.from_utc >= start]
    assert asked == begun


def pull(
    feed: Path | list,
    window: Window,
    codes: list[str],
    longest: timedelta,
    zone: ZoneInfo = NEW_YORK,
) -> list[dict]:
    """Serve, ask, read: the rows as the feed wrote them."""
    rows = []
    with PosApi(feed, token=SECRET) as api:
        connector = connector_of(api)
        for piece in hourly_windows(window, zone, longest):
            for answer in connector.fetch(piece, codes, zone):
                parsed = read(answer)
                assert parsed.rejected == ()
                rows += parsed.rows.to_pylist()
    return [
        {
            "time": row["hour_start_utc"].astimezone(zone).isoformat(),
            "ext_ref_code": row["ext_ref_code"],
            "num_tickets": row["num_tickets"],
        }
        for row in rows
    ]


def by_key(rows: list[dict]) -> list[tuple]:
    return sorted((row["ext_ref_code"], row["time"], row["num_tickets"]) for row in rows)


@pytest.mark.data
def test_a_year_of_the_complete_journey_arrives_row_for_row(test_data):
    path = test_data / "tickets" / "completejourney" / "expected" / "cj_feed_hourly.json"
    expected = json.loads(path.read_text())
    days = [datetime.fromisoformat(row["time"]) for row in expected]
    year = Window(min(days), max(days) + timedelta(hours=1))
    pulled = pull(path, year, sorted({row["ext_ref_code"] for row in expected}), 7 * DAY)
    assert len(pulled) == 10_986
    assert by_key(pulled) == by_key(expected)


@pytest.mark.data
def test_every_hour_of_the_bakery_arrives_over_both_clock_changes(test_data):
    path = test_data / "tickets" / "bread_basket" / "expected" / "bb_feed_hourly.json"
    expected = json.loads(path.read_text())
    days = [datetime.fromisoformat(row["time"]) for row in expected]
    winter = Window(min(days), max(days) + timedelta(hours=1))
    london = ZoneInfo("Europe/London")
    assert by_key(pull(path, winter, ["BB01"], 31 * DAY, london)) == by_key(expected)


@pytest.mark.data
@pytest.mark.parametrize("name", ["cj_request_fall_back.json", "cj_request_spring_forward.json"])
def test_windows_over_a_clock_change_are_asked_and_answered_as_recorded(test_data, name):
    folder = test_data / "tickets" / "completejourney" / "expected"
    recorded = json.loads((folder / name).read_text())
    request = recorded["request"]
    window = Window(
        datetime.fromisoformat(request["fromTime"]),
        datetime.fromisoformat(request["toTime"]) + timedelta(seconds=1),
    )
    url = request_url("u", window, request["ext_ref_codes"], NEW_YORK)
    codes = "".join(f"&ext_ref_codes={code}" for code in request["ext_ref_codes"])
    assert url == f"u?fromTime={request['fromTime']}&toTime={request['toTime']}{codes}"
    pulled = pull(folder / "cj_feed_hourly.json", window, request["ext_ref_codes"], 7 * DAY)
    assert by_key(pulled) == by_key(recorded["response"])
    assert pulled == recorded["response"]
