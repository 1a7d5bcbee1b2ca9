"""How late a feed still changes hours, learned from the revisions that it sent."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.gaps import Answered
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.time import DAY, HOUR

# What changes later than a month's last look is a restatement that somebody asked for by hand.
LONGEST = 31 * DAY
# Fewer say little about one in a hundred.
FEWEST = 100
_SHARE = 0.99
# The seven days are asked once a day; a day has 25 hours at most, and a tick may come late.
_SEEN_WITHIN = 30 * HOUR
_US = timedelta(microseconds=1)
_Numbers = npt.NDArray[np.int64]


def learned_lateness(revisions: pa.Table, answers: Sequence[Answered]) -> timedelta | None:
    """Give after how long 99 of 100 hours that changed had changed for the last time.

    A change is seen when the hour is asked for again, which after an outage of whoever asks may be
    weeks later. So one counts only where the hour was answered within about a day before, and as
    late as it was then: that late the feed certainly changed it.

    Args:
        revisions: of one connector, columns ext_ref_code, hour_start_utc and fetched_at_utc of
            schema TICKET_HOURS; every revision of the hours in it.
        answers: of the connector, since the first of these hours.

    Returns:
        Whole days since the end of the hour, rounded up, at most LONGEST; null where fewer than
        FEWEST hours changed so after their first answer.
    """
    if not revisions.num_rows:
        return None
    hours = revisions.group_by(["ext_ref_code", "hour_start_utc"]).aggregate(
        [("fetched_at_utc", "min"), ("fetched_at_utc", "max")]
    )
    last = hours["fetched_at_utc_max"]
    changed = hours.filter(pc.greater(last, hours["fetched_at_utc_min"]))
    late_us = np.sort(_ages_before(changed, answers)) - HOUR // _US
    late_us = late_us[late_us <= LONGEST // _US]
    if len(late_us) < FEWEST:
        return None
    # nearest rank: the smallest lateness that 99 % do not exceed
    rank = int(np.ceil(_SHARE * len(late_us))) - 1
    days = -(-int(late_us[rank]) // (DAY // _US))
    return max(days, 1) * DAY


def _ages_before(changed: pa.Table, answers: Sequence[Answered]) -> _Numbers:
    """Give, of hours that were answered shortly before they changed, how old they were then.

    Returns:
        Microseconds since the hour began.
    """
    codes = changed["ext_ref_code"].to_numpy()
    starts, seen = (
        changed[name].cast(pa.int64()).to_numpy()
        for name in ("hour_start_utc", "fetched_at_utc_max")
    )
    newest_first = sorted(answers, key=lambda a: a.fetched_at_utc, reverse=True)
    fetched = np.array([to_us(a.fetched_at_utc) for a in newest_first], dtype=np.int64)
    ages = [np.empty(0, dtype=np.int64)]
    for at in np.unique(seen):
        left = np.flatnonzero(seen == at)
        first, end = np.searchsorted(-fetched, [-at + 1, -at + _SEEN_WITHIN // _US + 1])
        for answer, before in zip(newest_first[first:end], fetched[first:end], strict=True):
            is_in = (starts[left] >= to_us(answer.start)) & (starts[left] < to_us(answer.end))
            is_in &= np.isin(codes[left], answer.codes)
            ages.append(before - starts[left[is_in]])
            left = left[~is_in]
            if not len(left):
                break
    return np.concatenate(ages)
