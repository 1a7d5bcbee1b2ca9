"""What the requests of one run know of the hosts they go to: who is down, and who asked to wait.

A host that asks one request to wait (Retry-After) asks all of them: until then no new one is begun.

A host that is down costs every connector that lives on it all its attempts and time-outs. Once
several connectors, one after the other, gave up on a host without it answering anybody, the host
is left alone for a while; then one request tries it, and its outcome decides.

One connector alone never closes a host for the others, however often it fails: what ails it may be
its own.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Host:
    """Who gave up since the host last answered, until when nobody asks, and when to begin again."""

    gave_up: set[str] = field(default_factory=set)
    rests_until: float | None = None


class Hosts:
    """Shared by the clients of one run; may be used by several threads."""

    def __init__(
        self,
        *,
        opens_after: int = 3,
        rest_s: float = 60.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know nothing yet.

        Args:
            opens_after: how many different askers have to give up on a host, with no answer to
                anybody between, before it is left alone.
            rest_s: how long it is left alone before one request tries it.
            now: seconds on a clock that never goes back.
        """
        self._opens_after = opens_after
        self._rest_s = rest_s
        self._now = now
        self._hosts: dict[str, _Host] = {}
        self._pauses: dict[str, float] = {}
        self._lock = threading.Lock()

    def rest_of(self, host: str) -> float:
        """Give how long a host is still left alone, in seconds; 0 lets the caller ask.

        Who gets the first 0 after a rest is the one that tries; to everybody else the host rests on
        until `answered` or `gave_up` says how that went.
        """
        with self._lock:
            known = self._hosts.get(host)
            if known is None or known.rests_until is None:
                return 0.0
            rest_s = known.rests_until - self._now()
            if rest_s > 0:
                return rest_s
            known.rests_until = self._now() + self._rest_s
            return 0.0

    def pause_of(self, host: str) -> float:
        """Give how long a host asked for no new requests, in seconds; mostly 0."""
        with self._lock:
            return max(0.0, self._pauses.get(host, 0.0) - self._now())

    def asked_to_wait(self, host: str, wait_s: float) -> None:
        """Note that a host asked for a pause."""
        with self._lock:
            until = self._now() + wait_s
            self._pauses[host] = max(until, self._pauses.get(host, until))

    def gave_up(self, host: str, asker: str) -> None:
        """Note that a request was given up because nobody answered for the host."""
        with self._lock:
            known = self._hosts.setdefault(host, _Host())
            known.gave_up.add(asker)
            if len(known.gave_up) >= self._opens_after:
                known.rests_until = self._now() + self._rest_s

    def answered(self, host: str) -> None:
        """Note that a host answered, whatever it said."""
        with self._lock:
            self._hosts.pop(host, None)
