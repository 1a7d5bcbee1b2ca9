"""A feed may repeat its token in every way; nothing that the pipeline keeps or says has it."""

import gzip
import html
import json
import logging
import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import duckdb
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.core.secret import Token
from ksi_pipeline.definitions import make_instance
from ksi_pipeline.sandbox.faults import Chance
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.settings import Settings

from .homes import DAY, SPACE, make_workspace, run
from .raw_till import RawTill

SECRET = "s3cr/et+Tok=en&42"
TRUTH = {10: 25, 11: 30, 12: 0, 13: 7}
ROWS = [
    {"time": f"{DAY}T{hour}:00:00+01:00", "ext_ref_code": "0001", "num_tickets": number}
    for hour, number in TRUTH.items()
]
HOURS = ("--from", f"{DAY}T10:00:00+01:00", "--to", f"{DAY}T14:00:00+01:00")
GOOD = json.dumps(ROWS)
PAGE = f"<pre>Authorization: Bearer {html.escape(SECRET)}</pre>"


def http(head: str, body: str | bytes = "") -> bytes:
    content = body if isinstance(body, bytes) else body.encode()
    return f"HTTP/1.1 {head}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def row(**changes: str) -> str:
    return json.dumps([{**ROWS[0], **changes}])


# each way, with what its hours say afterwards; null where the answer can be used
WAYS: dict[str, tuple[bytes, str | None]] = {
    "time": (http("200 OK", row(time=SECRET)), "E_FEED_ECHO"),
    "code": (http("200 OK", row(ext_ref_code=SECRET)), "E_FEED_ECHO"),
    "field": (http("200 OK", GOOD.replace("num_tickets", SECRET)), "E_FEED_ECHO"),
    "extra": (http("200 OK", row(debug=f"Bearer {SECRET}")), "E_FEED_ECHO"),
    "json": (http("200 OK", row(debug=SECRET).replace("/", "\\/")), "E_FEED_ECHO"),
    "wrapper": (http("200 OK", json.dumps({"token": SECRET})), "E_FEED_ECHO"),
    "page": (http("200 OK\r\nContent-Type: text/html", PAGE), "E_FEED_ECHO"),
    "gzip": (
        http("200 OK\r\nContent-Encoding: gzip", gzip.compress(PAGE.encode())),
        "E_FEED_ECHO",
    ),
    "header": (http(f"200 OK\r\nX-Debug: Bearer {SECRET}\r\nSet-Cookie: t={SECRET}", GOOD), None),
    "odd-header": (http(f"200 OK\r\nnone: 1\r\nBearer {SECRET}", GOOD), None),
    "reason": (http(f"403 {SECRET}"), "E_FEED_AUTH"),
    "page-401": (http("401 Unauthorized", PAGE), "E_FEED_AUTH"),
    "page-404": (http("404 Not Found", SECRET), "E_FEED_REFUSED"),
    "page-500": (http("500 Server Error", PAGE), "E_FEED_UNAVAILABLE"),
    "retry-after": (http(f"429 Busy\r\nRetry-After: {SECRET}"), "E_FEED_UNAVAILABLE"),
    "redirect-host": (http(f"302 Found\r\nLocation: //{SECRET}/"), "E_FEED_REDIRECT"),
    "redirect": (http(f"302 Found\r\nLocation: /?t={quote(SECRET)}", PAGE), "E_FEED_REDIRECT"),
    "status-line": (f"{SECRET}\r\n\r\n".encode(), "E_FEED_UNAVAILABLE"),
    "chunk": (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n".encode(),
        "E_FEED_UNAVAILABLE",
    ),
    "length": (
        f"HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n{PAGE}".encode(),
        "E_FEED_ECHO",
    ),
}


def connector(name: str, url: str, attempts: int = 1) -> str:
    return (
        f'  - {{id: {name}, kind: hourly_api, url: "{url}", token_env: KSI_ECHO_TOKEN,'
        " absent_means: missing, allow_http: true, allow_private: true, active: true,"
        f" max_attempts: {attempts}}}\n"
    )


def write_home(home: Path, connectors: dict[str, str]) -> Path:
    """A home whose unit has one code of each connector."""
    (home / "spaces").mkdir(parents=True)
    link = '  - {{connector: {}, ext_ref_code: "0001", unit: "0001"}}\n'
    space = SPACE.partition("links:\n")[0] + "links:\n" + "".join(map(link.format, connectors))
    (home / "spaces" / "shop.yaml").write_text(space)
    (home / "connectors.yaml").write_text("connectors:\n" + "".join(connectors.values()))
    return home


def contents_of(path: Path) -> list[bytes]:
    """What a file holds: its bytes, and where it is packed what is in it."""
    found = [path.read_bytes()]
    if path.suffix == ".gz":
        found.append(gzip.decompress(found[0]))
    if path.suffix == ".parquet":
        found.append(json.dumps(pq.read_table(path).to_pylist(), default=str).encode())
    if found[0].startswith(b"SQLite format 3"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            found.append("\n".join(connection.iterdump()).encode())
    if path.suffix == ".duckdb":  # which packs texts
        with duckdb.connect(str(path), read_only=True) as connection:
            names = connection.execute("select sql, schema_name, table_name from duckdb_tables()")
            for sql, schema, name in names.fetchall():
                rows = connection.execute(f'select * from "{schema}"."{name}"').fetchall()
                found.append(f"{sql} {rows}".encode())
    return found


@dataclass(frozen=True)
class Echoed:
    """A home after a run in which every feed but one repeated its token."""

    home: Path
    requests: dict[str, list[bytes]]
    reasons: dict[str, set[str | None]]


@pytest.fixture(scope="module")
def echoed(tmp_path_factory) -> Echoed:
    home = tmp_path_factory.mktemp("echo") / "home"
    told = logging.FileHandler(tmp_path_factory.mktemp("log") / "all.log")
    faulty = Chance(["500:0.2", "html:0.2", "wrong-hours:0.3", "drop:0.2"], seed=5)
    with ExitStack() as stack:
        tills = {name: stack.enter_context(RawTill(reply)) for name, (reply, _) in WAYS.items()}
        main = stack.enter_context(PosApi(ROWS, token=SECRET, chance=faulty))
        entries = {name: connector(name, till.url) for name, till in tills.items()}
        write_home(home, entries | {"pos-main": connector("pos-main", main.url, attempts=2)})
        workspace = make_workspace(home, secrets={"KSI_ECHO_TOKEN": SECRET}.get)
        loggers = [logging.getLogger(name) for name in ("", "urllib3", "ksi_pipeline")]
        levels = [logger.level for logger in loggers]
        loggers[0].addHandler(told)
        try:
            for logger in loggers[1:]:
                logger.setLevel(logging.DEBUG)
            with make_instance(Settings(data_dir=home, dagster_home=home / "dagster")) as instance:
                report = run(workspace, instance=instance)
        finally:
            loggers[0].removeHandler(told)
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
        told.close()
        (home / "said.txt").write_text(f"{report}\n{Path(told.baseFilename).read_text()}")
    reasons: dict[str, set[str | None]] = {}
    for span in workspace.store.read("coverage").to_pylist():
        reasons.setdefault(span["source_id"], set()).add(span["reason"])
    return Echoed(home, {n: till.asked for n, till in tills.items()}, reasons)


def test_every_feed_was_sent_the_token_and_refused_as_what_it_did(echoed):
    for name, (_, reason) in WAYS.items():
        assert all(SECRET.encode() in request for request in echoed.requests[name]), name
        expected = {reason} if reason else {"feed_absent_hour", None}
        assert echoed.reasons[name] <= expected, name


def test_no_file_of_the_data_home_and_of_dagster_holds_the_token(echoed):
    files = [path for path in echoed.home.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files} | {part for p in files for part in p.parts}
    assert {".gz", ".parquet", ".sqlite", ".duckdb", ".db", "said.txt"} <= kinds
    for path in files:
        for content in contents_of(path):
            assert not Token(SECRET).is_in(content), path


def test_an_answer_that_repeats_its_token_is_kept_in_no_part(echoed):
    for name, (_, reason) in WAYS.items():
        kept = (echoed.home / "raw" / "tickets" / name).exists()
        assert kept == (reason is None), name


@pytest.mark.parametrize("way", WAYS)
def test_no_verb_says_or_keeps_the_token(way, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("KSI_ECHO_TOKEN", SECRET)
    allowed = ["--allow-http", "--allow-private", "--code", "0001", "--timezone", "Europe/Madrid"]
    with RawTill(WAYS[way][0]) as till:
        home = write_home(tmp_path / "home", {way: connector(way, till.url)})
        verbs = [
            ["connector", "test", way, *HOURS, "--dir", str(home)],
            ["connector", "show", way, "--dir", str(home)],
            ["tickets", "pull", way, *HOURS, "--dir", str(home)],
            ["connector", "certify", till.url, "--token-env", "KSI_ECHO_TOKEN", *allowed, *HOURS],
        ]
        said = ""
        for verb in verbs:
            for how in ([], ["--json"]):
                result = CliRunner().invoke(app, [*verb, *how])
                assert result.exit_code in (0, 1), result.output
                said += result.output
    assert len(till.asked) >= 6
    assert not Token(SECRET).is_in((said + caplog.text).encode())
    for path in home.rglob("*"):
        if path.is_file():
            assert not any(map(Token(SECRET).is_in, contents_of(path))), path
