"""A till system's hourly API on this machine, for tests and trials.

It speaks the contract (docs/how-to/connect-a-till.md) strictly, so that a connector that passes
here has sent what a real till system needs: times with an offset, `+` as %2B, repeated
ext_ref_codes, a Bearer token, toTime inclusive. Faults can be scripted, one request after the
other. It listens on 127.0.0.1 only.
"""

import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs

import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.core.time import parse_instant

FeedRow = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Fault:
    """What the next answers do instead of the truth.

    Attributes:
        status: of the answer.
        body: instead of the true one; a function gets the true body.
        headers: sent as well.
        latency_s: waited before anything is sent.
        is_cut: the connection closes without an answer.
        times: for how many requests.
    """

    status: int = 200
    body: bytes | Callable[[bytes], bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    latency_s: float = 0.0
    is_cut: bool = False
    times: int = 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it arrived.

    Attributes:
        target: path and query, the bytes of the request line.
        headers: names in lower case, without authorization.
        is_authorized: whether the token was the right one.
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
        port: int = 0,
        faults: Iterable[Fault] = (),
        on_request: Callable[[str], None] | None = None,
    ) -> None:
        """Listen, but do not answer yet.

        Args:
            rows: rows of the contract, or a .json or .parquet file of them (`time` as text),
                answered in this order, with whatever v2 fields they have.
            token: the one Bearer token that is right.
            port: 0 takes a free one.
            faults: scripted, in order; the truth follows once they are used up.
            on_request: gets a line per answered request, for a terminal.

        Raises:
            ConfigError: E_SANDBOX_ROWS, the file cannot be served; E_SANDBOX, the port is taken.
            ContractError: a time carries no offset.
        """
        self.requests: list[Recorded] = []
        self.faults: deque[Fault] = deque()
        self.script(*faults)
        self._token = token
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
        listed = _read(rows) if isinstance(rows, Path) else [dict(row) for row in rows]
        self._rows = [(parse_instant(str(row["time"])), row) for row in listed]

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
        sent = headers.get("authorization", "").encode()
        is_authorized = hmac.compare_digest(sent, f"Bearer {self._token}".encode())
        shown = {name: value for name, value in headers.items() if name != "authorization"}
        with self._lock:
            self.requests.append(Recorded(target, shown, is_authorized))
            fault = self.faults.popleft() if self.faults else Fault()
        path, _, query = target.decode("latin-1").partition("?")
        if not is_authorized:
            return _error(HTTPStatus.UNAUTHORIZED, "the Bearer token is missing or wrong")
        if path != self.path:
            return _error(HTTPStatus.NOT_FOUND, f"nothing here but {self.path}")
        if isinstance(fault.body, bytes) or fault.is_cut:
            return fault
        try:
            body = self.truth(query)
        except _BadRequest as problem:
            return _error(HTTPStatus.BAD_REQUEST, str(problem))
        body = fault.body(body) if fault.body else body
        return Fault(fault.status, body, fault.headers, fault.latency_s)

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
            time.sleep(reply.latency_s)
            if reply.is_cut:
                self.close_connection = True
                return
            body = reply.body if isinstance(reply.body, bytes) else b""
            api.report(f"{reply.status} GET {target.decode('latin-1')}")
            try:
                self._send(reply, body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _send(self, reply: Fault, body: bytes) -> None:
            self.send_response(reply.status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            for name, value in {**headers, **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

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


def _read(path: Path) -> list[dict[str, object]]:
    """Read the rows of a file, each with what an answer needs.

    Raises:
        ConfigError: E_SANDBOX_ROWS, saying what is wrong.
    """
    try:
        rows = _rows_of(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _no_rows(path, f"it cannot be read: {error}") from error
    if not isinstance(rows, list):
        raise _no_rows(path, "it is no list of rows")
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not {"time", "ext_ref_code"} <= row.keys():
            raise _no_rows(path, f"row {number} is no object with time and ext_ref_code")
    return rows


def _rows_of(path: Path) -> object:
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if path.suffix == ".parquet":
        return [
            {name: value for name, value in row.items() if value is not None}
            for row in pq.read_table(path).to_pylist()
        ]
    raise ValueError(f"the sandbox serves .json and .parquet files, not {path.suffix or 'this'}")


def _no_rows(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"Serving {path} failed: {why}. Nothing is served. Give a file of rows as in "
        "docs/how-to/connect-a-till.md.",
        code="E_SANDBOX_ROWS",
    )
