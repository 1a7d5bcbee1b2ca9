"""Instants as whole microseconds since 1970 UTC, the form used inside video_ingest.

Integers add and compare exactly, so that chunk start + frame timestamp is the same number whichever
chunk the frame arrived in. Datetimes appear only where a caller hands one in or reads one.
"""

from datetime import UTC, datetime, timedelta

SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """Microseconds since 1970 UTC of an instant that carries its offset.

    >>> from datetime import UTC, datetime
    >>> to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (instant - _EPOCH) // _MICROSECOND


def from_us(instant_us: int) -> datetime:
    """The same instant as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=instant_us)


def seconds_to_us(duration_s: float) -> int:
    """A duration in whole microseconds, rounded to the nearest."""
    return round(duration_s * SECOND_US)
