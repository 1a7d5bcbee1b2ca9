"""Probing a till system's API: everything the contract asks for, one question after the other.

The report is for whoever writes the API: each probe says what was asked, what came and what to
change. Nothing is written anywhere. What a feed restates cannot be provoked from outside; asking
the same question twice shows at least that an hour never turns into two rows.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Literal
from zoneinfo import ZoneInfo

from ksi_pipeline.connectors.certify_remedies import ECHO_REMEDY, REMEDIES
from ksi_pipeline.connectors.certify_rows import change_of, count, keys
from ksi_pipeline.connectors.hourly_api import LONGEST_URL, request_url
from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.core.secret import Token
from ksi_pipeline.core.tickets import Fetch, ParsedAnswer, parse_hourly_answer
from ksi_pipeline.core.time import (
    DAY,
    HOUR,
    Window,
    aligned_to_hours,
    local_midnight_utc,
)
from ksi_pipeline.http import HttpClient

Verdict = Literal["passed", "failed", "skipped"]
_ASKER = "The probe"
_SLOW_S = 10.0
# An offset that no till of this kind has by itself, ahead of UTC and with a fraction of an hour.
_FAR_ZONE = ZoneInfo("Asia/Kathmandu")
_TIMES = {"E_BAD_TIME", "E_NAIVE_TIME", "E_NOT_HOUR_START", "E_OUTSIDE_WINDOW"}
_NO_CODE = "ksi-no-such-code"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe showed.

    Attributes:
        asked: the url, without the token; null when the probe was skipped.
        said: what came, or why nothing was asked.
        remedy: what to change; null unless it failed.
    """

    probe: str
    verdict: Verdict
    asked: str | None
    said: str
    remedy: str | None = None


class _Wrong(Exception):
    """A probe failed; the text says what came."""


class _NotAsked(Exception):
    """A probe has nothing to go by; the text says why."""


@dataclass(slots=True)
class Prober:
    """Asks one API.

    Attributes:
        codes: ext_ref_codes that the API knows.
        window: whole local hours of `zone`, with sales; most probes ask for it.
        clock: aware UTC now.
    """

    url: str
    token: Token
    http: HttpClient
    codes: Sequence[str]
    zone: ZoneInfo
    window: Window
    clock: Callable[[], datetime]
    _asked: str | None = field(default=None, init=False)
    _base: ParsedAnswer | None = field(default=None, init=False)

    def probe(self) -> Iterator[Finding]:
        """Run every probe, in order; the ones after an API that does not answer are skipped."""
        probes: list[tuple[str, Callable[[], str]]] = [
            *(("answer", self._answer), ("bare_list", self._bare_list), ("rows", self._rows)),
            *(("hours", self._hours), ("duplicate_hour", self._duplicate_hour)),
            *(("repeated_keys", self._repeated_keys), ("inclusive_end", self._inclusive_end)),
            *(("plus_offset", self._plus_offset), ("spring_day", lambda: self._dst_day(1))),
            *(("autumn_day", lambda: self._dst_day(-1)), ("empty_list", self._empty_list)),
            *(("unknown_code", self._unknown_code), ("same_twice", self._same_twice)),
            *(("longest_window", self._longest_window), ("long_url", self._long_url)),
            *(("wrong_token", self._wrong_token), ("no_token", self._no_token)),
        ]
        is_reached = True
        for name, run in probes:
            if not is_reached:
                yield Finding(name, "skipped", None, "the API gave no list to look at")
                continue
            finding = self._run(name, run)
            is_reached = finding.verdict == "passed" or name not in ("answer", "bare_list")
            yield finding

    def _run(self, name: str, run: Callable[[], str]) -> Finding:
        self._asked = None
        verdict: Verdict = "passed"
        remedy = None
        try:
            said = run()
        except _NotAsked as reason:
            return Finding(name, "skipped", None, str(reason))
        except (_Wrong, KsiError) as problem:
            code = f"{problem.code}: " if isinstance(problem, KsiError) else ""
            verdict, said = "failed", f"{code}{problem}"
            remedy = ECHO_REMEDY if code.startswith("E_FEED_ECHO") else REMEDIES[name]
        asked = self.token.hide_in(self._asked) if self._asked else None
        return Finding(name, verdict, asked, self.token.hide_in(said), remedy)

    def _body(self, window: Window, codes: Sequence[str], zone: ZoneInfo) -> bytes:
        self._asked = request_url(self.url, window, codes, zone)
        return self.http.get(self._asked, token=self.token, asker=_ASKER).body

    def _read(self, body: bytes, window: Window, codes: Sequence[str]) -> ParsedAnswer:
        now = self.clock()
        digest = sha256(body).hexdigest()
        fetch = Fetch("probe", digest, now, window, self.zone, tuple(codes))
        return parse_hourly_answer(body, fetch, known_codes=set(codes))

    def _asked_for(
        self, window: Window, codes: Sequence[str], zone: ZoneInfo | None = None
    ) -> ParsedAnswer:
        return self._read(self._body(window, codes, zone or self.zone), window, codes)

    def _first(self) -> ParsedAnswer:
        if self._base is None:
            self._base = self._asked_for(self.window, self.codes)
        self._asked = request_url(self.url, self.window, self.codes, self.zone)
        return self._base

    def _answer(self) -> str:
        return f"200 with {len(self._body(self.window, self.codes, self.zone))} bytes"

    def _bare_list(self) -> str:
        first = self._first()
        return f"a list of {count(first)} rows"

    def _rows(self) -> str:
        others = {*_TIMES, "E_DUP_HOUR", "E_HOUR_INCOMPLETE", "E_UNKNOWN_CODE"}
        _refuse_rows(self._first(), lambda code: code not in others)
        if not count(self._first()):
            raise _NotAsked("the list is empty; name hours with sales with --from and --to")
        return f"{count(self._first())} rows, all as the contract says"

    def _hours(self) -> str:
        _refuse_rows(self._first(), lambda code: code in _TIMES)
        self._require_rows()
        return "every time is the start of a local hour inside the window"

    def _duplicate_hour(self) -> str:
        _refuse_rows(self._first(), lambda code: code == "E_DUP_HOUR")
        self._require_rows()
        return "no hour of a code comes twice"

    def _repeated_keys(self) -> str:
        if len(self.codes) < 2:
            raise _NotAsked("it takes two codes; give --code twice")
        together = keys(self._first())
        alone: set[tuple[object, ...]] = set()
        for code in self.codes[:3]:
            alone |= keys(self._asked_for(self.window, [code]))
        self._first()
        together = {key for key in together if key[0] in self.codes[:3]}
        if together != alone:
            raise _Wrong(f"{len(together)} rows together, {len(alone)} rows asked one by one")
        if len({key[0] for key in alone}) < 2:
            raise _NotAsked("fewer than two codes have rows in the window")
        return f"{len(self.codes)} codes at once give the rows of each one alone"

    def _inclusive_end(self) -> str:
        self._require_rows()
        hours = sorted({str(key[1]) for key in keys(self._first())})
        start = datetime.fromisoformat(hours[len(hours) // 2])
        expected = {key for key in keys(self._first()) if key[1] == start.isoformat()}
        answer = self._asked_for(Window(start, start + HOUR), self.codes)
        if count(answer) != len(keys(answer)) or keys(answer) != expected:
            raise _Wrong(f"{count(answer)} rows for one hour that has {len(expected)}")
        return "one hour alone gives its own rows"

    def _plus_offset(self) -> str:
        answer = self._asked_for(self.window, self.codes, _FAR_ZONE)
        if keys(answer) != keys(self._base_answer()):
            raise _Wrong(
                f"{len(keys(answer))} rows for the window written at +05:45, and "
                f"{len(keys(self._base_answer()))} for the same window at the site's own offset"
            )
        return "the window written at +05:45 gives the same rows"

    def _dst_day(self, sign: int) -> str:
        day = change_of(self.zone, self.window.end, sign)
        if day is None:
            raise _NotAsked(f"clocks were not set there in the last year in {self.zone.key}")
        window = Window(
            local_midnight_utc(day.date(), self.zone),
            local_midnight_utc((day + DAY).date(), self.zone),
        )
        answer = self._asked_for(window, self.codes)
        _refuse_rows(answer, lambda code: code != "E_UNKNOWN_CODE")
        hours = (window.end - window.start) // HOUR
        if not count(answer):
            raise _NotAsked(f"{day.date()}, {hours} hours: answered, and no row to look at")
        return f"{day.date()}, {hours} hours: {count(answer)} rows, none wrong"

    def _empty_list(self) -> str:
        ahead = self.clock() + 2 * DAY
        window = aligned_to_hours(Window(ahead, ahead + 2 * HOUR), self.zone)
        answer = self._asked_for(window, self.codes)
        if count(answer):
            raise _Wrong(f"{count(answer)} rows for hours that are still to come")
        return "hours to come give an empty list"

    def _unknown_code(self) -> str:
        answer = self._asked_for(self.window, [self.codes[0], _NO_CODE])
        mine = {key for key in keys(self._base_answer()) if key[0] == self.codes[0]}
        if keys(answer) != mine:
            raise _Wrong(f"{len(keys(answer))} rows, and {len(mine)} without the unknown code")
        return "a code that it does not know is left out"

    def _same_twice(self) -> str:
        first, again = self._base_answer(), self._asked_for(self.window, self.codes)
        before, now = ({key[:3] for key in keys(answer)} for answer in (first, again))
        if before != now:
            raise _Wrong(f"{len(now - before)} hours came and {len(before - now)} went")
        changed = len(keys(again) - keys(first))
        return f"the same hours; {changed} of them restated" if changed else "the same rows"

    def _longest_window(self) -> str:
        window = aligned_to_hours(Window(self.window.end - 7 * DAY, self.window.end), self.zone)
        began = time.monotonic()
        answer = self._asked_for(window, self.codes)
        took_s = time.monotonic() - began
        if took_s > _SLOW_S:
            raise _Wrong(f"seven days took {took_s:.1f} s")
        return f"seven days, {count(answer)} rows, in {took_s:.1f} s"

    def _wrong_token(self) -> str:
        wrong = Token(sha256(self.token.reveal().encode()).hexdigest())
        return self._require_refused(wrong, "a wrong token")

    def _no_token(self) -> str:
        return self._require_refused(None, "a request without a token")

    def _require_refused(self, token: Token | None, what: str) -> str:
        self._asked = request_url(self.url, self.window, self.codes, self.zone)
        try:
            self.http.get(self._asked, token=token, asker=_ASKER)
        except KsiError as error:
            if error.code == "E_FEED_AUTH":
                return f"{what} is refused"
            if error.code != "E_FEED_ECHO":
                raise
        raise _Wrong(f"200: {what} gets the sales as well")

    def _long_url(self) -> str:
        codes = list(self.codes)
        while len(request_url(self.url, self.window, [*codes, _filler(codes)], self.zone)) <= (
            LONGEST_URL
        ):
            codes.append(_filler(codes))
        self._body(self.window, codes, self.zone)
        return f"a URL of {len(self._asked or '')} characters is answered"

    def _base_answer(self) -> ParsedAnswer:
        if self._base is None:
            raise _NotAsked("the first question was not answered")
        return self._base

    def _require_rows(self) -> None:
        if not self._first().rows.num_rows:
            raise _NotAsked("no row could be read; name hours with sales with --from and --to")


def _refuse_rows(answer: ParsedAnswer, is_wrong: Callable[[str], bool]) -> None:
    wrong = [row for row in answer.rejected if is_wrong(row.code)]
    if wrong:
        first = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise _Wrong(f"{first.code}: row {first.row_number}, {first.raw_value[:200]}{more}")


def _filler(codes: Sequence[str]) -> str:
    return f"{_NO_CODE}-{len(codes)}"
