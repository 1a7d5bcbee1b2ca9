"""What the HTTP client makes of every kind of answer, against a real server."""

import gzip
import html
import json
import logging
import random
import socket
import threading
from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from ksi_pipeline.core.errors import ConfigError, ContractError, FeedRefused, FeedUnavailable
from ksi_pipeline.core.secret import Token
from ksi_pipeline.http import Hosts, HttpClient, HttpLimits
from ksi_pipeline.http.addresses import why_refused
from ksi_pipeline.sandbox.pos_api import Fault, PosApi

SECRET = "s3cret-Token.42"
ASKER = "Connector 'pos-main'"
QUERY = "?fromTime=2023-02-08T09:00:00-03:00&toTime=2023-02-08T10:59:59-03:00&ext_ref_codes=0001"
ROWS = [{"time": "2023-02-08T09:00:00-03:00", "ext_ref_code": "0001", "num_tickets": 25}]


def client(waits: list[float] | None = None, hosts: Hosts | None = None, **limits) -> HttpClient:
    noted: list[float] = [] if waits is None else waits
    usual = {"read_timeout_s": 2.0, "max_attempts": 3, "allow_private": True}
    return HttpClient(
        HttpLimits(**{**usual, **limits}),
        hosts=hosts,
        sleep=noted.append,
        rng=random.Random(7),
        now=lambda: datetime(2026, 3, 2, 9, tzinfo=UTC),
    )


def ask(api: PosApi, http: HttpClient, secret: str = SECRET):
    return http.get(api.url + QUERY, token=Token(secret), asker=ASKER)


def test_a_good_answer_comes_with_its_bytes():
    with PosApi(ROWS, token=SECRET) as api, closing(client()) as http:
        reply = ask(api, http)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert b'"num_tickets": 25' in reply.body


def test_a_compressed_answer_is_unpacked():
    packed = Fault(body=gzip.compress(b"[]" * 50), headers={"Content-Encoding": "gzip"})
    with PosApi(ROWS, token=SECRET, faults=[packed]) as api:
        assert ask(api, client()).body == b"[]" * 50


def test_an_answer_in_chunks_without_a_length_is_read_whole():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n"
    assert raw_reply(chunked, client()).body == b"[]"


def test_a_wrong_token_is_refused_at_once():
    with PosApi(ROWS, token=SECRET) as api, pytest.raises(FeedRefused) as refused:
        ask(api, client(), secret="not-the-one")
    assert refused.value.code == "E_FEED_AUTH"
    assert "401" in str(refused.value)
    assert len(api.requests) == 1


def test_other_refusals_quote_what_the_feed_said():
    said = Fault(status=404, body=b'{"error": "no such\n store"}')
    with PosApi(ROWS, token=SECRET, faults=[said]) as api, pytest.raises(FeedRefused) as refused:
        ask(api, client())
    assert refused.value.code == "E_FEED_REFUSED"
    assert "no such store" in str(refused.value)


def test_200_is_the_only_answer():
    empty = Fault(status=204, body=b"")
    with PosApi(ROWS, token=SECRET, faults=[empty]) as api, pytest.raises(FeedRefused, match="204"):
        ask(api, client())


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


def test_silence_is_a_time_out():
    with (
        PosApi(ROWS, token=SECRET, faults=[Fault(latency_s=0.5, times=9)]) as api,
        pytest.raises(FeedUnavailable) as failed,
    ):
        ask(api, client(read_timeout_s=0.05))
    assert failed.value.code == "E_FEED_TIMEOUT"


def test_a_body_that_drips_is_a_time_out_although_no_read_is_slow():
    with pytest.raises(FeedUnavailable) as failed:
        raw_reply(
            b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b" " * 500,
            client(total_timeout_s=0.2, max_attempts=1),
            drip_s=0.02,
        )
    assert failed.value.code == "E_FEED_TIMEOUT"


def test_an_answer_cut_short_is_no_answer():
    with pytest.raises(FeedUnavailable) as failed:
        raw_reply(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]", client(max_attempts=1))
    assert failed.value.code == "E_FEED_UNAVAILABLE"


def test_a_connection_closed_without_an_answer_is_tried_again():
    with PosApi(ROWS, token=SECRET, faults=[Fault(is_cut=True)]) as api:
        assert ask(api, client()).status == 200
    assert len(api.requests) == 2


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


def test_a_redirect_is_never_followed():
    with PosApi(ROWS, token=SECRET) as elsewhere:
        moved = Fault(status=302, body=b"", headers={"Location": elsewhere.url + QUERY})
        with (
            PosApi(ROWS, token=SECRET, faults=[moved]) as api,
            pytest.raises(FeedRefused) as refused,
        ):
            ask(api, client())
    assert refused.value.code == "E_FEED_REDIRECT"
    assert elsewhere.requests == []


def test_an_answer_above_the_size_limit_is_refused_even_when_it_arrives_small():
    bomb = Fault(body=gzip.compress(b" " * 200_000), headers={"Content-Encoding": "gzip"})
    with PosApi(ROWS, token=SECRET, faults=[bomb]) as api, pytest.raises(ContractError) as refused:
        ask(api, client(max_bytes=100_000))
    assert refused.value.code == "E_FEED_TOO_LARGE"


def test_cookies_are_not_sent_back():
    sets = Fault(body=b"[]", headers={"Set-Cookie": "session=1; Path=/"})
    with PosApi(ROWS, token=SECRET, faults=[sets]) as api, closing(client()) as http:
        ask(api, http)
        ask(api, http)
    assert "cookie" not in api.requests[1].headers


def test_a_netrc_file_does_not_replace_the_token(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with PosApi(ROWS, token=SECRET) as api:
        assert ask(api, client()).status == 200


@pytest.mark.parametrize("bad", ["", "two words", "line\nbreak", "näme"])
def test_a_token_that_would_break_the_header_is_refused_without_being_shown(bad):
    with pytest.raises(ConfigError) as refused:
        Token(bad)
    assert refused.value.code == "E_TOKEN_INVALID"
    assert not bad or bad not in str(refused.value)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=403, body=f"bad token {SECRET}".encode()), id="echoed-in-body"),
        pytest.param(Fault(status=500, body=SECRET.encode(), times=9), id="echoed-in-500"),
        pytest.param(
            Fault(status=307, body=b"", headers={"Location": f"http://{SECRET}.example/"}),
            id="echoed-in-redirect",
        ),
        pytest.param(Fault(status=404, body=SECRET.encode("utf-16")), id="echoed-in-utf-16"),
        pytest.param(Fault(body=f"<pre>Bearer {SECRET}</pre>".encode()), id="echoed-in-200"),
        pytest.param(Fault(status=401, body=b" " * 4090 + SECRET.encode()), id="echoed-late"),
        pytest.param(Fault(latency_s=0.4, times=9), id="time-out"),
        pytest.param(Fault(is_cut=True, times=9), id="cut"),
    ],
)
def test_the_token_is_in_no_message_no_log_and_no_frame_of_the_error(fault, caplog):
    caplog.set_level(logging.DEBUG)
    with (
        PosApi(ROWS, token=SECRET, faults=[fault]) as api,
        pytest.raises((FeedRefused, FeedUnavailable)) as failed,
    ):
        ask(api, client(read_timeout_s=0.1))
    error: BaseException = failed.value
    assert SECRET not in str(error) + repr(error) + caplog.text
    assert error.__cause__ is None
    assert error.__context__ is None
    trace, looked_at = error.__traceback__, 0
    while trace:
        if trace.tb_frame.f_globals["__name__"].startswith("ksi_pipeline.http"):
            looked_at += 1
            assert SECRET not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next
    assert looked_at


ODD = "s3c/ret+Tok=en<&'42"


@pytest.mark.parametrize(
    "spelt",
    [
        pytest.param(ODD.encode(), id="as-it-is"),
        pytest.param(json.dumps(ODD).replace("/", "\\/").encode(), id="json"),
        pytest.param("".join(f"\\u{ord(c):04X}" for c in ODD).encode(), id="json-in-numbers"),
        pytest.param(html.escape(ODD).encode(), id="html"),
        pytest.param("".join(f"&#x{ord(c):X};" for c in ODD).encode(), id="html-in-numbers"),
        pytest.param(quote(ODD, safe="").encode(), id="url"),
        pytest.param(quote(ODD, safe="").lower().replace("tok", "Tok").encode(), id="url-lower"),
        pytest.param(ODD.encode("utf-16-be"), id="utf-16"),
    ],
)
def test_a_good_answer_that_holds_the_token_is_refused_however_it_is_spelt(spelt):
    with (
        PosApi(ROWS, token=ODD, faults=[Fault(body=b'[{"time": "' + spelt + b'"}]')]) as api,
        pytest.raises(FeedRefused, match="owner of the feed") as refused,
    ):
        ask(api, client(), secret=ODD)
    assert refused.value.code == "E_FEED_ECHO"
    assert len(api.requests) == 1
    assert ODD not in str(refused.value)


def test_an_answer_that_holds_only_a_part_of_the_token_is_an_answer():
    part = Fault(body=f'["{SECRET[:-1]}", "50 % \\u00e9"]'.encode())
    with PosApi(ROWS, token=SECRET, faults=[part]) as api:
        assert ask(api, client()).status == 200


def test_a_header_line_that_cannot_be_read_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG)
    reply = f"HTTP/1.1 200 OK\r\nnone: 1\r\nBearer {SECRET}\r\n\r\n[]".encode()
    assert raw_reply(reply, client()).status == 200
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "location",
    [
        pytest.param(b"http://[", id="no-url"),
        pytest.param(b"/caf\xe9", id="latin-1"),
        pytest.param(b"//:99999999/", id="no-port"),
    ],
)
def test_a_redirect_to_an_address_that_cannot_be_read_is_refused(location):
    reply = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(FeedRefused) as refused:
        raw_reply(reply, client(max_attempts=1))
    assert refused.value.code == "E_FEED_REDIRECT"


def test_a_redirect_with_a_body_above_the_limit_is_not_read_to_its_end():
    bomb = gzip.compress(b" " * 200_000)
    headers = {"Content-Encoding": "gzip", "Location": "/elsewhere"}
    moved = Fault(status=302, body=bomb, headers=headers)
    with PosApi(ROWS, token=SECRET, faults=[moved]) as api, pytest.raises(ContractError) as refused:
        ask(api, client(max_bytes=100_000))
    assert refused.value.code == "E_FEED_TOO_LARGE"


@pytest.mark.parametrize(
    "retry_after", ["Mon, 02 Mar 2026 09:00:12 +99999999999999", "Mon, 02 Mar 99999 09:00:12 GMT"]
)
def test_a_retry_after_that_is_no_date_falls_back_to_the_usual_wait(retry_after):
    waits: list[float] = []
    busy = Fault(status=503, headers={"Retry-After": retry_after})
    with PosApi(ROWS, token=SECRET, faults=[busy]) as api:
        ask(api, client(waits))
    assert 0.5 <= waits[0] <= 1.0


def test_without_a_token_nothing_is_sent_in_its_place(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with PosApi(ROWS, token=SECRET) as api, pytest.raises(FeedRefused) as refused:
        client().get(api.url + QUERY, token=None, asker=ASKER)
    assert refused.value.code == "E_FEED_AUTH"
    assert not api.requests[0].is_authorized


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


def raw_reply(reply: bytes, http: HttpClient, drip_s: float = 0.0):
    """Ask a socket that sends these bytes and closes; one by one when it drips."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        enough = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                pieces = [reply] if not drip_s else [bytes([byte]) for byte in reply]
                for piece in pieces:
                    if enough.wait(drip_s):
                        return
                    connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.getsockname()[1]}/sales"
            return http.get(url, token=Token(SECRET), asker=ASKER)
        finally:
            enough.set()
            thread.join(timeout=5)
