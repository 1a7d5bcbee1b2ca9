"""A till system's hourly API on this machine, for tests and trials.

It speaks the contract (docs/how-to/connect-a-till.md) strictly, so that a connector that passes
here has sent what a real till system needs: times with an offset, `+` as %2B, repeated
ext_ref_codes, a Bearer token, toTime inclusive. A token may read all codes or those of one tenant.
Faults can be scripted, one request after the other, or come by chance. It listens on 127.0.0.1
only.
"""

import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs

from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.core.time import parse_instant
from ksi_pipeline.sandbox.faults import Chance, Fault
from ksi_pipeline.sandbox.feed_file import read_rows

__all__ = ["Fault", "FeedRow", "PosApi", "Recorded"]

FeedRow = Mapping[str, object]
_PIECE = 65536


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it arrived.

    Attributes:
        target: path and query, the bytes of the request line.
        headers: names in lower case, without authorization.
        is_authorized: whether the token is one that it knows.
    """

    target: bytes
    headers: Mapping[str, str]
    is_authorized: bool


class _BadRequest(Exception):
    """What a till system would not answer; the text goes back as the error."""


class PosApi:
    """The server; as a context manager it answers from a thread until the block ends.

    >>> rows = [{"time": "2023-02-08T09:00:00-03:00", "ext_ref_code": "0001", "num_tickets": 25}]
    >>> with PosApi(rows, token="a-token") as api:
    ...     api.url.startswith("http://127.0.0.1:")
    True
    """

    path = "/sales"

    def __init__(
        self,
        rows: Path | Iterable[FeedRow],
        *,
        token: str,
        tenants: Mapping[str, Collection[str]] | None = None,
        is_foreign_refused: bool = True,
        port: int = 0,
        faults: Iterable[Fault] = (),
        chance: Chance | None = None,
        latency_s: float = 0.0,
        on_request: Callable[[str], None] | None = None,
    ) -> None:
        """Listen, but do not answer yet.

        Args:
            rows: rows of the contract, or a .json or .parquet file of them (`time` as text),
                answered in this order, with whatever v2 fields they have.
            token: the Bearer token that may read every code.
            tenants: further tokens, each with the codes that it may read.
            is_foreign_refused: 403 to a tenant that asks for another's code; else it is left out.
            port: 0 takes a free one.
            faults: scripted, in order; the truth, or chance, follows once they are used up.
            chance: further faults; none when null.
            latency_s: waited before every answer.
            on_request: gets a line per answered request, for a terminal.

        Raises:
            ConfigError: E_SANDBOX_ROWS, the file cannot be served; E_SANDBOX, the port is taken.
            ContractError: a time carries no offset.
        """
        self.requests: list[Recorded] = []
        self.faults: deque[Fault] = deque()
        self.script(*faults)
        self._codes_of: dict[str, Collection[str] | None] = {token: None, **(tenants or {})}
        self._is_foreign_refused = is_foreign_refused
        self.chance = chance or Chance(())
        self.latency_s = latency_s
        self._lock = threading.Lock()
        self._on_request = on_request
        self.replace_rows(rows)
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(self))
        except OSError as error:
            raise ConfigError(
                f"Listening on 127.0.0.1:{port} failed: {error.strerror}. Nothing is served. "
                "Choose another port with --port; 0 takes a free one.",
                code="E_SANDBOX",
            ) from error
        self._thread: threading.Thread | None = None

    @property
    def codes(self) -> list[str]:
        """The ext_ref_codes that have rows, sorted."""
        return sorted(self._known_codes)

    @property
    def url(self) -> str:
        """The endpoint, as a connector's url."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.path}"

    def __enter__(self) -> "PosApi":
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Answer in this thread until interrupted."""
        try:
            self._server.serve_forever()
        finally:
            self._server.server_close()

    def script(self, *faults: Fault) -> None:
        """Put faults behind those not yet used."""
        self.faults.extend(fault for fault in faults for _ in range(fault.times))

    def replace_rows(self, rows: Path | Iterable[FeedRow]) -> None:
        """Change what is true, as a till system does that corrects an hour."""
        listed = read_rows(rows) if isinstance(rows, Path) else [dict(row) for row in rows]
        self._rows = [(parse_instant(str(row["time"])), row) for row in listed]
        self._known_codes = {str(row["ext_ref_code"]) for row in listed}

    def truth(self, query: str) -> bytes:
        """Answer a query from the rows.

        Raises:
            _BadRequest: a parameter is missing, naive, or arrived damaged.
        """
        given = parse_qs(query, keep_blank_values=True)
        start, end = _time_of(given, "fromTime"), _time_of(given, "toTime")
        codes = set(given.get("ext_ref_codes", []))
        if not codes:
            raise _BadRequest("ext_ref_codes is missing")
        if end < start:
            raise _BadRequest("toTime lies before fromTime")
        rows = [
            row
            for instant, row in self._rows
            if start <= instant <= end and row["ext_ref_code"] in codes
        ]
        return json.dumps(rows, ensure_ascii=False).encode()

    def answer(self, target: bytes, headers: Mapping[str, str]) -> Fault:
        """Decide what one request gets, and note it."""
        token = self._token_in(headers.get("authorization", ""))
        shown = {name: value for name, value in headers.items() if name != "authorization"}
        with self._lock:
            self.requests.append(Recorded(target, shown, token is not None))
            fault = self.faults.popleft() if self.faults else self.chance.fault_of(target)
        path, _, query = target.decode("latin-1").partition("?")
        if token is None:
            return _error(HTTPStatus.UNAUTHORIZED, "the Bearer token is missing or wrong")
        if path != self.path:
            return _error(HTTPStatus.NOT_FOUND, f"nothing here but {self.path}")
        if isinstance(fault.body, bytes) or fault.is_cut:
            return fault
        foreign = self._foreign_codes(query, self._codes_of[token])
        if foreign and self._is_foreign_refused:
            codes = ", ".join(sorted(foreign))
            return _error(HTTPStatus.FORBIDDEN, f"this token may not read {codes}")
        try:
            body = self.truth(query)
        except _BadRequest as problem:
            return _error(HTTPStatus.BAD_REQUEST, str(problem))
        if foreign:
            own = [row for row in json.loads(body) if row["ext_ref_code"] not in foreign]
            body = json.dumps(own, ensure_ascii=False).encode()
        body = fault.body(body) if fault.body else body
        return replace(fault, body=body)

    def _token_in(self, authorization: str) -> str | None:
        sent = authorization.encode()
        for token in self._codes_of:
            if hmac.compare_digest(sent, f"Bearer {token}".encode()):
                return token
        return None

    def _foreign_codes(self, query: str, allowed: Collection[str] | None) -> set[str]:
        """Give the codes that are asked for and are somebody else's; one nobody has is not."""
        if allowed is None:
            return set()
        asked = set(parse_qs(query, keep_blank_values=True).get("ext_ref_codes", []))
        return (asked & self._known_codes) - set(allowed)

    def report(self, line: str) -> None:
        """Tell a terminal, if one listens."""
        if self._on_request:
            self._on_request(line)


def _handler_of(api: PosApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            target = self.requestline.split(" ")[1].encode("latin-1")
            reply = api.answer(
                target, {name.lower(): value for name, value in self.headers.items()}
            )
            time.sleep(api.latency_s + reply.latency_s)
            if reply.is_cut:
                self.close_connection = True
                return
            body = reply.body if isinstance(reply.body, bytes) else b""
            why = f" ({reply.name})" if reply.name else ""
            api.report(f"{reply.status} GET {target.decode('latin-1')}{why}")
            try:
                self._send(reply, body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _send(self, reply: Fault, body: bytes) -> None:
            self.send_response(reply.status)
            length = len(body) + reply.padding
            headers = {"Content-Type": "application/json", "Content-Length": str(length)}
            for name, value in {**headers, **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.sent_share < 1:
                self.close_connection = True
                body = body[: int(len(body) * reply.sent_share)]
            self.wfile.write(body)
            for begin in range(0, reply.padding, _PIECE):
                self.wfile.write(b" " * min(_PIECE, reply.padding - begin))

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet: the base class would write each request to stderr."""

    return Handler


def _error(status: HTTPStatus, text: str) -> Fault:
    return Fault(status.value, json.dumps({"error": text}).encode())


def _time_of(given: Mapping[str, Sequence[str]], name: str) -> datetime:
    values = given.get(name, [])
    if len(values) != 1:
        raise _BadRequest(f"{name} has to be given once")
    if " " in values[0]:
        raise _BadRequest(f"the + in {name} arrived as a blank; send it as %2B")
    try:
        return parse_instant(values[0])
    except ContractError as error:
        raise _BadRequest(f"{name}: {error}") from error
