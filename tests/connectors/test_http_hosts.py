"""Which hosts the HTTP client asks, how often, and how long it waits for them."""

import socket
from contextlib import closing

import pytest

from ksi_pipeline.core.errors import ConfigError, FeedRefused, FeedUnavailable
from ksi_pipeline.core.secret import Token
from ksi_pipeline.http import Hosts, HttpClient, HttpLimits
from ksi_pipeline.http.addresses import why_refused
from ksi_pipeline.sandbox.pos_api import Fault, PosApi

from .http_client import ASKER, QUERY, ROWS, SECRET, ask, client


def test_two_500s_and_then_an_answer_is_an_answer():
    waits: list[float] = []
    with PosApi(ROWS, token=SECRET, faults=[Fault(status=500, times=2)]) as api:
        assert ask(api, client(waits)).status == 200
    assert len(waits) == 2
    assert 0.5 <= waits[0] <= 1.0 <= waits[1] <= 2.0


def test_a_wait_is_told_before_it_begins():
    told: list[str] = []
    busy = Fault(status=429, headers={"Retry-After": "7"})
    limits = HttpLimits(allow_private=True)
    http = HttpClient(limits, sleep=lambda _s: told.append("slept"), on_wait=told.append)
    with PosApi(ROWS, token=SECRET, faults=[busy]) as api, closing(http):
        ask(api, http)
    assert told[0].startswith("7 s, Connector 'pos-main' attempt 1 of 4 was answered 429")
    assert told[1] == "slept"


def test_500s_for_ever_end_after_the_last_attempt():
    with (
        PosApi(ROWS, token=SECRET, faults=[Fault(status=500, times=99)]) as api,
        pytest.raises(FeedUnavailable) as failed,
    ):
        ask(api, client())
    assert failed.value.code == "E_FEED_UNAVAILABLE"
    assert "after 3 attempts" in str(failed.value)
    assert len(api.requests) == 3


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("Mon, 02 Mar 2026 09:00:12 GMT", 12.0, id="a-date"),
        pytest.param("86400", 60.0, id="a-day-is-capped"),
    ],
)
def test_retry_after_is_honoured_up_to_a_cap(retry_after, wait_s):
    waits: list[float] = []
    busy = Fault(status=429, headers={"Retry-After": retry_after})
    with PosApi(ROWS, token=SECRET, faults=[busy]) as api:
        ask(api, client(waits))
    assert waits == [wait_s]


def test_an_unreadable_retry_after_falls_back_to_the_usual_wait():
    waits: list[float] = []
    busy = Fault(status=503, headers={"Retry-After": "soon"})
    with PosApi(ROWS, token=SECRET, faults=[busy]) as api:
        ask(api, client(waits))
    assert 0.5 <= waits[0] <= 1.0


def test_nobody_listening_and_no_such_host_are_told_apart():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url, text in [
        (f"http://127.0.0.1:{port}/sales", "nobody listening"),
        ("http://no-such-host.invalid/sales", "no host of that name"),
    ]:
        with pytest.raises(FeedUnavailable, match=text):
            client(max_attempts=1).get(url, token=Token(SECRET), asker=ASKER)


@pytest.mark.parametrize(
    "retry_after", ["Mon, 02 Mar 2026 09:00:12 +99999999999999", "Mon, 02 Mar 99999 09:00:12 GMT"]
)
def test_a_retry_after_that_is_no_date_falls_back_to_the_usual_wait(retry_after):
    waits: list[float] = []
    busy = Fault(status=503, headers={"Retry-After": retry_after})
    with PosApi(ROWS, token=SECRET, faults=[busy]) as api:
        ask(api, client(waits))
    assert 0.5 <= waits[0] <= 1.0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
def test_this_machine_is_not_asked_unless_that_is_allowed(host):
    with PosApi(ROWS, token=SECRET) as api:
        url = api.url.replace("127.0.0.1", host) + QUERY
        with pytest.raises(ConfigError, match="allow_private: true") as refused:
            client(allow_private=False).get(url, token=Token(SECRET), asker=ASKER)
    assert refused.value.code == "E_PRIVATE_ADDRESS"
    assert "loopback" in str(refused.value)
    assert api.requests == []


def test_a_name_that_resolves_otherwise_the_second_time_is_not_followed(monkeypatch):
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host, *args, **kwargs):
        if host != "till.example":
            return real(host, *args, **kwargs)
        asked.append(host)
        return real("192.0.0.9" if len(asked) == 1 else "127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    http = client(allow_private=False, connect_timeout_s=0.2, max_attempts=1)
    with PosApi(ROWS, token=SECRET) as api:
        url = api.url.replace("127.0.0.1", "till.example") + QUERY
        with pytest.raises(FeedUnavailable):
            http.get(url, token=Token(SECRET), asker=ASKER)
    assert asked == ["till.example"]
    assert api.requests == []


def test_a_name_with_a_public_and_a_private_address_is_refused(monkeypatch):
    real = socket.getaddrinfo
    both = [*real("9.9.9.9", 80), *real("10.0.0.7", 80)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: both)
    with pytest.raises(ConfigError, match=r"10\.0\.0\.7, a private address"):
        client(allow_private=False).get("http://till.example/", token=Token("t"), asker=ASKER)


def test_a_proxy_is_not_asked_for_a_private_address(monkeypatch):
    with PosApi(ROWS, token=SECRET) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/sales"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(ConfigError, match="link-local"):
            client(allow_private=False).get(
                "http://169.254.169.254/latest", token=Token(SECRET), asker=ASKER
            )
    assert proxy.requests == []


def test_an_impossible_host_name_is_no_host():
    url = f"http://{'a' * 64}.example/"
    with pytest.raises(FeedUnavailable, match="no host of that name"):
        client(allow_private=False, max_attempts=1).get(url, token=Token("t"), asker=ASKER)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        *(("127.8.9.1", "loopback"), ("::1", "loopback"), ("::ffff:10.1.2.3", "private")),
        *(("10.1.2.3", "private"), ("172.16.0.1", "private"), ("192.168.1.20", "private")),
        *(("100.64.0.1", "private"), ("fd00::1", "private"), ("2002:a00:1::", "private")),
        *(("169.254.169.254", "link-local"), ("fe80::1%eth0", "link-local")),
        *(("64:ff9b::7f00:1", "loopback"), ("0.0.0.0", "reserved"), ("::", "reserved")),
        *(("224.0.0.1", "reserved"), ("240.0.0.1", "reserved"), ("ff02::1", "reserved")),
        *(("9.9.9.9", None), ("2620:fe::fe", None), ("64:ff9b::909:909", None)),
    ],
)
def test_only_public_addresses_pass(address, kind):
    assert why_refused(address) == kind


def test_a_host_that_three_connectors_gave_up_on_is_left_alone_and_then_tried():
    clock = [0.0]
    hosts = Hosts(rest_s=60, now=lambda: clock[0])
    with PosApi(ROWS, token=SECRET, faults=[Fault(is_cut=True, times=3)]) as api:
        for asker in ("a", "b", "c"):
            with pytest.raises(FeedUnavailable, match="lost the connection"):
                client(hosts=hosts, max_attempts=1).get(api.url, token=Token(SECRET), asker=asker)
        with pytest.raises(FeedUnavailable, match="another 60 s") as rests:
            ask(api, client(hosts=hosts))
        assert len(api.requests) == 3
        clock[0] = 61.0
        assert ask(api, client(hosts=hosts)).status == 200
        assert ask(api, client(hosts=hosts)).status == 200
    assert rests.value.code == "E_FEED_RESTS"


def test_one_connector_never_closes_a_host_for_the_others():
    hosts = Hosts()
    with PosApi(ROWS, token=SECRET, faults=[Fault(is_cut=True, times=9)]) as api:
        for _ in range(9):
            with pytest.raises(FeedUnavailable):
                ask(api, client(hosts=hosts, max_attempts=1))
        assert client(hosts=hosts).get(api.url + QUERY, token=Token(SECRET), asker="b").body


def test_an_answer_to_anybody_shows_that_a_host_is_up():
    hosts = Hosts(opens_after=2)
    for who, answers in [("a", False), ("b", True), ("c", False)]:
        (hosts.answered if answers else lambda host, w=who: hosts.gave_up(host, w))("h")
    assert hosts.rest_of("h") == 0


def test_an_error_that_the_feed_itself_reports_does_not_count_against_its_host():
    hosts = Hosts(opens_after=1)
    refusing = [Fault(status=500), Fault(status=429), Fault(status=404)]
    with PosApi(ROWS, token=SECRET, faults=refusing) as api:
        for _ in refusing:
            with pytest.raises((FeedUnavailable, FeedRefused), match="answered"):
                ask(api, client(hosts=hosts, max_attempts=1))
        assert ask(api, client(hosts=hosts)).status == 200


def test_after_a_rest_only_one_request_tries_the_host():
    clock = [0.0]
    hosts = Hosts(opens_after=1, rest_s=60, now=lambda: clock[0])
    hosts.gave_up("h", "a")
    clock[0] = 60.0
    assert [hosts.rest_of("h") > 0 for _ in range(3)] == [False, True, True]
    assert hosts.rest_of("another") == 0


def test_a_host_that_asks_one_request_to_wait_makes_the_next_one_wait_too():
    waits: list[float] = []
    clock = [0.0]
    hosts = Hosts(now=lambda: clock[0])
    busy = Fault(status=429, headers={"Retry-After": "7"})
    with PosApi(ROWS, token=SECRET, faults=[busy]) as api:
        ask(api, client(waits, hosts=hosts))
        clock[0] = 2.0
        ask(api, client(waits, hosts=hosts))
        clock[0] = 7.0
        ask(api, client(waits, hosts=hosts))
    assert waits == [7.0, 5.0]
