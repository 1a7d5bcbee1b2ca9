"""Whatever a feed answers, each answer is loaded, quarantined or refused, and no row is lost."""

import gzip
import json
import zlib
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ksi_pipeline.core.time import Window, parse_instant
from ksi_pipeline.defs.steps.parse import parse_answers, reconcile
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.workspace import Workspace

from .homes import NOW, SPACE, make_workspace
from .raw_till import RawTill

WINDOW = Window(
    parse_instant("2026-03-02T10:00:00+01:00"), parse_instant("2026-03-02T12:00:00+01:00")
)
CONNECTOR = """\
connectors:
  - {{id: pos-main, kind: hourly_api, url: "{url}", token_env: KSI_POS_MAIN_TOKEN,
      absent_means: zero, allow_http: true, allow_private: true, active: true,
      max_attempts: 1, read_timeout_s: 5}}
"""

times = st.one_of(
    st.sampled_from(["2026-03-02T10:00:00+01:00", "2026-03-02T11:00:00+01:00"]),
    st.sampled_from(["2026-03-02T10:30:00+01:00", "2026-03-02T10:00:00", "9999-12-31T23:59:59Z"]),
    st.text(max_size=12),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
row = st.fixed_dictionaries(
    {
        "time": times | anything,
        "ext_ref_code": st.sampled_from(["0001", "1", ""]) | anything,
        "num_tickets": st.integers(-2, 10**20) | anything,
    },
    optional={
        "net_sales": st.decimals(allow_nan=False).map(float) | anything,
        "category": st.text(max_size=5) | anything,
        "currency": anything,
        "more": anything,
    },
)
good_row = st.fixed_dictionaries(
    {
        "time": st.sampled_from(["2026-03-02T10:00:00+01:00", "2026-03-02T11:00:00+01:00"]),
        "ext_ref_code": st.sampled_from(["0001", "0002"]),
        "num_tickets": st.integers(0, 999),
    }
)
bodies = st.one_of(
    st.lists(good_row | row, max_size=5).map(json.dumps).map(str.encode),
    st.lists(good_row, max_size=5).map(json.dumps).map(str.encode),
    anything.map(json.dumps).map(str.encode),
    st.lists(good_row, max_size=2)
    .map(json.dumps)
    .flatmap(
        lambda text: st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "cp037"]).map(text.encode)
    ),
    st.binary(max_size=60),
)
names = st.sampled_from(
    ["Content-Type", "Content-Encoding", "Location", "Retry-After", "Set-Cookie", "X", ""]
)
values = st.binary(max_size=20).map(lambda sent: sent.replace(b"\r", b"").replace(b"\n", b""))
statuses = st.sampled_from([204, 206, 302, 304, 401, 404, 429, 500]) | st.integers(0, 1200)


def chunked(body: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def sized(body: bytes, size: int) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (size, body)


def packed(body: bytes) -> bytes:
    return b"Content-Encoding: gzip\r\n" + sized(gzip.compress(body), len(gzip.compress(body)))


BOMB = gzip.compress(b" " * 300_000)
TWICE = gzip.compress(BOMB)


def well_framed(body: bytes) -> list[bytes]:
    return [sized(body, len(body)), chunked(body), packed(body), b"\r\n" + body]


def ill_framed(body: bytes) -> list[bytes]:
    gzipped, deflated = b"Content-Encoding: gzip\r\n", zlib.compress(body)
    return [
        *(sized(body, len(body) + 5), sized(body, len(body) // 2), sized(body, -1)),
        gzipped + sized(body, len(body)),
        gzipped + sized(BOMB, len(BOMB)),
        b"Content-Encoding: deflate\r\n" + sized(deflated, len(deflated)),
        b"Content-Encoding: br, gzip\r\n" + sized(body, len(body)),
        b"Content-Encoding: gzip, gzip\r\n" + sized(TWICE, len(TWICE)),
        b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n" + body,
        b"Transfer-Encoding: chunked\r\n\r\n" + body,
    ]


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """A reply as a till may send it, mostly a good one in part, down to bytes that are no HTTP."""
    kind = draw(st.sampled_from(["good frame"] * 6 + ["status", "header", "frame", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(max_size=80))
    status = draw(statuses) if kind == "status" else 200
    head = b"HTTP/1.1 %d %s\r\n" % (status, draw(values))
    if kind in ("status", "header"):
        for name, value in draw(st.lists(st.tuples(names, values), max_size=2)):
            head += name.encode() + b": " + value + b"\r\n"
    frames = ill_framed if kind == "frame" else well_framed
    return head + draw(st.sampled_from(frames(draw(bodies))))


@pytest.fixture(scope="module")
def till() -> Iterator[RawTill]:
    with RawTill() as served:
        yield served


@pytest.fixture(scope="module")
def workspace(till, tmp_path_factory) -> Workspace:
    """A shop whose clock goes on a minute with each look at it."""
    home = tmp_path_factory.mktemp("fuzz")
    (home / "spaces").mkdir()
    (home / "spaces" / "shop.yaml").write_text(SPACE)
    (home / "connectors.yaml").write_text(CONNECTOR.format(url=till.url))
    minutes = count()
    return make_workspace(home, clock=lambda: NOW + timedelta(minutes=next(minutes)))


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(reply=replies())
def test_every_answer_is_loaded_quarantined_or_refused(till, workspace, reply):
    till.reply = reply
    before = reconcile(workspace)
    pulled = pull_answers(workspace, WINDOW)
    parsed = parse_answers(workspace)
    after = reconcile(workspace)
    if pulled.answer_count == 0:
        (why,) = pulled.failed.values()
        assert why.startswith("E_")
        assert parsed.rows_in == 0
        event(f"refused as {why.partition(':')[0]}")
    else:
        fates = (parsed.rows_loaded, parsed.rows_unchanged, parsed.rows_quarantined)
        assert parsed.rows_in == sum(fates)
        event("no list" if pulled.failed else f"loaded {bool(fates[0])} kept out {bool(fates[2])}")
    assert after.is_balanced
    assert after.rows_in - before.rows_in == parsed.rows_in
