"""Instants as whole microseconds since the epoch, as the ledger and compiled code hold them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def from_us(instant_us: int) -> datetime:
    """Give an instant, in UTC, of microseconds."""
    return _EPOCH + timedelta(microseconds=instant_us)


def to_us(instant: datetime) -> int:
    """Give an aware instant in microseconds."""
    return (instant - _EPOCH) // _US
