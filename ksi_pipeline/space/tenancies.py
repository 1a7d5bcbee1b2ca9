"""Whether the tenancies of a unit can hold side by side.

Tenants share a unit only by parts that somebody gave: the parts of those that hold on a day add up
to 1, so that what the unit sells is shared out whole and once.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise

from ksi_pipeline.space.model import Tenancy


def tenancy_findings(tenancies: Sequence[Tenancy]) -> Iterator[tuple[int, str]]:
    """Yield what is wrong with the tenancies of one unit, with the index of each one concerned.

    What is wrong of the same tenancies is said once, for the first time at which it is.
    """
    said: set[tuple[int, ...]] = set()
    for start, end in _spans(tenancies):
        at_once = tuple(n for n, one in enumerate(tenancies) if _holds(one, start, end))
        message = _wrong([tenancies[n] for n in at_once])
        if message and at_once not in said:
            said.add(at_once)
            when = f"from {start} on" if start else "from the beginning"
            who = "it" if len(at_once) == 1 else "entries " + _listed(at_once) + " of tenancies"
            for n in at_once:
                yield n, f"{when}, {who} {message}"


def _wrong(at_once: Sequence[Tenancy]) -> str | None:
    """Say what is wrong with tenancies that hold at the same time, or nothing."""
    if len(at_once) == 1 and at_once[0].share not in (None, 1):
        return (
            f"holds alone and its share is {at_once[0].share:g}: nobody has the rest; add who has, "
            "or leave 'share' out"
        )
    names = [one.tenant for one in at_once]
    shares = [one.share for one in at_once if one.share is not None]
    if len(set(names)) < len(names):
        return f"hold at once, and {max(names, key=names.count)!r} is in two of them; make them one"
    if len(at_once) > 1 and len(shares) < len(at_once):
        return (
            "hold at once, and not each says its part of the unit; give each a 'share', adding up "
            "to 1, or end the first with 'to' on the day the next begins"
        )
    together = sum(Decimal(str(share)) for share in shares)
    if shares and together != 1:
        listed = " + ".join(str(share) for share in shares)
        return (
            f"hold at once, and their shares do not add up to 1: {listed} = {together}; correct "
            "them, or what the unit sells would be shared out in part or twice"
        )
    return None


def _listed(at_once: Sequence[int]) -> str:
    return " and ".join(str(n + 1) for n in at_once)


def _spans(tenancies: Sequence[Tenancy]) -> Iterator[tuple[date | None, date | None]]:
    """Yield the spans of days in which no tenancy begins or ends, half-open, in order."""
    ends = {day for one in tenancies for day in (one.valid_from, one.valid_to) if day}
    yield from pairwise([None, *sorted(ends), None])


def _holds(tenancy: Tenancy, start: date | None, end: date | None) -> bool:
    begun = tenancy.valid_from is None or (start is not None and tenancy.valid_from <= start)
    not_over = tenancy.valid_to is None or (end is not None and end <= tenancy.valid_to)
    return begun and not_over
