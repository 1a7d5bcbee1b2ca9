"""How late a feed still changes hours, learned from the revisions that it sent."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.time import DAY, HOUR

# What changes later than a month's last look is a restatement that somebody asked for by hand.
LONGEST = 31 * DAY
# Fewer say little about one in a hundred.
FEWEST = 100
_SHARE = 0.99


def learned_lateness(revisions: pa.Table) -> timedelta | None:
    """Give after how long 99 of 100 hours that changed had changed for the last time.

    Args:
        revisions: of one connector, columns ext_ref_code, hour_start_utc and fetched_at_utc of
            schema TICKET_HOURS; every revision of the hours in it.

    Returns:
        Whole days since the end of the hour, rounded up, at most LONGEST; null where fewer than
        FEWEST hours changed after their first answer.
    """
    if not revisions.num_rows:
        return None
    hours = revisions.group_by(["ext_ref_code", "hour_start_utc"]).aggregate(
        [("fetched_at_utc", "min"), ("fetched_at_utc", "max")]
    )
    last = hours["fetched_at_utc_max"]
    changed = hours.filter(pc.greater(last, hours["fetched_at_utc_min"]))
    ages = pc.subtract(
        changed["fetched_at_utc_max"].cast(pa.int64()), changed["hour_start_utc"].cast(pa.int64())
    )
    late_us = np.sort(ages.to_numpy()) - HOUR // timedelta(microseconds=1)
    late_us = late_us[late_us <= LONGEST // timedelta(microseconds=1)]
    if len(late_us) < FEWEST:
        return None
    # nearest rank: the smallest lateness that 99 % do not exceed
    rank = int(np.ceil(_SHARE * len(late_us))) - 1
    days = -(-int(late_us[rank]) // (DAY // timedelta(microseconds=1)))
    return max(days, 1) * DAY
