"""What a fake till does instead of the truth: an answer that was scripted, or one by chance.

Chance can be repeated: whether the n-th answer to a question is faulty depends on the seed, the
question and n alone, and not on what was asked at the same time.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.time import parse_instant


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
        sent_share: of the body; the connection closes after that.
        padding: so many blanks follow the body.
        name: shown beside the request on a terminal.
    """

    status: int = 200
    body: bytes | Callable[[bytes], bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    latency_s: float = 0.0
    is_cut: bool = False
    times: int = 1
    sent_share: float = 1.0
    padding: int = 0
    name: str = ""


def _of_status(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Fault:
    body = json.dumps({"error": f"{status.phrase}, by chance"}).encode()
    return Fault(status.value, body, headers or {})


def _wrong_hours(body: bytes) -> bytes:
    rows = json.loads(body)
    for row in rows:
        late = parse_instant(row["time"]) + timedelta(minutes=30)
        row["time"] = late.isoformat()
    return json.dumps(rows).encode()


def _restated(body: bytes) -> bytes:
    rows = json.loads(body)
    if rows and isinstance(rows[-1].get("num_tickets"), int):
        rows[-1]["num_tickets"] += 1
    return json.dumps(rows).encode()


def _first_hour_twice(body: bytes) -> bytes:
    rows = json.loads(body)
    return json.dumps([*rows[:1], *rows]).encode()


_PAGE = b"<!doctype html><title>Sign in</title><h1>Sign in</h1>"
_SLOW_S = 40.0
_HUGE = 65 * 1024 * 1024
_STATUSES = (401, 403, 404, 408, 500, 502, 503, 504)

# By the name that --fault takes; docs/reference/command-line.md says what each one does.
NAMED: Mapping[str, Fault] = {
    "429": _of_status(HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": "1"}),
    **{str(status): _of_status(HTTPStatus(status)) for status in _STATUSES},
    "html": Fault(body=_PAGE, headers={"Content-Type": "text/html"}),
    "object": Fault(body=lambda body: b'{"data": ' + body + b"}"),
    "wrong-hours": Fault(body=_wrong_hours),
    "duplicate-hour": Fault(body=_first_hour_twice),
    "restate": Fault(body=_restated),
    "drop": Fault(sent_share=0.5),
    "slow": Fault(latency_s=_SLOW_S),
    "huge": Fault(padding=_HUGE),
}


class Chance:
    """Faults that come by chance, each with its rate; the first that comes up holds."""

    def __init__(self, specs: Sequence[str], *, seed: int = 1) -> None:
        """Read faults as --fault writes them: a name, or NAME:RATE with a rate up to 1.

        Raises:
            ConfigError: E_SANDBOX_FAULT.
        """
        self._seed = seed
        self._rates: dict[str, float] = {}
        self._asked: Counter[bytes] = Counter()
        for spec in specs:
            name, colon, written = spec.partition(":")
            rate = _rate(spec, written) if colon else 1.0
            if name not in NAMED:
                raise _refused(f"there is no fault {name!r}")
            if name in self._rates:
                raise _refused(f"{name} is given twice")
            certain = next((known for known, rate in self._rates.items() if rate == 1), None)
            if certain:
                raise _refused(f"{name} would never come, because {certain} always comes first")
            self._rates[name] = rate

    def fault_of(self, target: bytes) -> Fault:
        """Decide for the next answer to a question, which is the path and query of a request."""
        self._asked[target] += 1
        for name, rate in self._rates.items():
            # a generator of its own for each decision, so that no other request moves it
            key = f"{self._seed} {name} {target.decode('latin-1')} {self._asked[target]}"
            if random.Random(key).random() < rate:
                return replace(NAMED[name], name=name)
        return Fault()

    def __str__(self) -> str:
        return ", ".join(f"{name} in {100 * rate:.4g} %" for name, rate in self._rates.items())


def _rate(spec: str, written: str) -> float:
    try:
        rate = float(written)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1:
        raise _refused(f"{spec!r} has no rate above 0 and up to 1 behind the colon")
    return rate


def _refused(why: str) -> ConfigError:
    return ConfigError(
        f"The faults cannot be made: {why}. Nothing is served. Write them like --fault 429:0.1 "
        f"--fault wrong-hours; the names are {', '.join(NAMED)}.",
        code="E_SANDBOX_FAULT",
    )
