"""Spans of a day as a space file writes them, "09:00-21:00"."""

import re
from collections.abc import Sequence
from itertools import pairwise

from ksi_pipeline.core.time import DaySpans

_SPAN = re.compile(r"^([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)$")


def day_spans(spans: Sequence[str]) -> DaySpans:
    """Read spans as minutes after local midnight, in their order.

    Raises:
        ValueError: one is no span of hours, or lies outside the day.
    """
    return tuple(_minutes(span) for span in spans)


def first_overlap(spans: Sequence[str]) -> tuple[str, str] | None:
    """Give the first two spans that overlap, in order of the day, or None.

    Raises:
        ValueError: as day_spans.
    """
    read = sorted((_closing(*_minutes(span)), span) for span in spans)
    for ((_, ends), earlier), ((begins, _), later) in pairwise(read):
        if begins < ends:
            return earlier, later
    return None


def _closing(opens: int, closes: int) -> tuple[int, int]:
    """Count a span that runs past midnight on from its own day."""
    return opens, closes if closes > opens else closes + 24 * 60


def _minutes(span: str) -> tuple[int, int]:
    found = _SPAN.match(span)
    if not found:
        raise ValueError(f'{span!r} is no span of hours; write it like "09:00-21:00"')
    hours = [int(part) for part in found.groups()]
    opens, closes = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if opens >= 24 * 60 or closes > 24 * 60:
        raise ValueError(f"{span!r} lies outside the day; hours run from 00:00 to 24:00")
    return opens, closes
