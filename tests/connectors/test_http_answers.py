"""What the HTTP client makes of every kind of answer, against a real server."""

import gzip
import html
import json
import logging
import socket
import threading
from contextlib import closing
from urllib.parse import quote

import pytest

from ksi_pipeline.core.errors import ConfigError, ContractError, FeedRefused, FeedUnavailable
from ksi_pipeline.core.secret import Token
from ksi_pipeline.http import HttpClient
from ksi_pipeline.sandbox.pos_api import Fault, PosApi

from .http_client import ASKER, QUERY, ROWS, SECRET, ask, client


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


def test_without_a_token_nothing_is_sent_in_its_place(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with PosApi(ROWS, token=SECRET) as api, pytest.raises(FeedRefused) as refused:
        client().get(api.url + QUERY, token=None, asker=ASKER)
    assert refused.value.code == "E_FEED_AUTH"
    assert not api.requests[0].is_authorized


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
