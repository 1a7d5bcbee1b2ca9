"""The calendar of a site: its local hours and when it was open in each."""

import pyarrow as pa

from ksi_pipeline.core.schemas import SITE_HOURS, SITE_OPEN_SPANS
from ksi_pipeline.core.time import Window, business_days, local_hours, open_spans
from ksi_pipeline.space.load import Space


def site_calendar(space: Space, window: Window) -> dict[str, pa.Table]:
    """Give SITE_HOURS and SITE_OPEN_SPANS for the business days that a window touches.

    Dates with unknown opening hours give hours that count as open all through, with is_hours_known
    false.
    """
    site = space.file.site
    zone, opening = site.zone_info, site.opening()
    window = business_days(window, zone, site.business_day_start)
    opened = open_spans(opening, window, zone)
    hours, spans = [], []
    cursor = 0
    for hour in local_hours(window, zone, site.business_day_start):
        whole = Window(hour.from_utc, hour.end_utc)
        while cursor < len(opened) and opened[cursor].end <= whole.start:
            cursor += 1
        pieces = []
        for span in opened[cursor:]:
            piece = span.overlap(whole)
            if piece is None:
                break
            pieces.append(piece)
        hours.append(
            {
                "site_id": space.site_id,
                "hour_start_utc": hour.start_utc,
                "hour_from_utc": hour.from_utc,
                "hour_end_utc": hour.end_utc,
                "local_hour": hour.local_hour,
                "utc_offset_s": hour.utc_offset_s,
                "business_date": hour.business_date,
                "open_s": sum((p.end - p.start).total_seconds() for p in pieces),
                "is_hours_known": opening.on(hour.local_hour.date()) is not None,
            }
        )
        spans += [
            {
                "site_id": space.site_id,
                "hour_start_utc": hour.start_utc,
                "open_from_utc": piece.start,
                "open_to_utc": piece.end,
            }
            for piece in pieces
        ]
    return {
        "site_hours": pa.Table.from_pylist(hours, schema=SITE_HOURS),
        "site_open_spans": pa.Table.from_pylist(spans, schema=SITE_OPEN_SPANS),
    }
