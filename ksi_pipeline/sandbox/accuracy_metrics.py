"""What of a simulated mall is compared with its truth, and the tolerance of each.

Each query gives (where, measured, true), one row for each value that the truth says can be
measured: null in `measured` is a value that the marts lack.
"""

from dataclasses import dataclass
from typing import Final

from ksi_pipeline.sandbox.mall import CATEGORIES, DEPTH_M, PITCH_M

_EXACT = "nothing is lost between a tracklet and a mart"
_TICKET = "a ticket is read, not measured"
_FILMED = "the default detector misses and doubles people in two minutes of video"
_NOISE = "2 cm of noise on samples 0.25 s apart moves the begin and the end of a stay"
_BRUSH = "noise decides whether who only brushes a corner, or the hour, has a visit there"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, how it is read, and how far it may be off.

    Attributes:
        tolerance: largest absolute error, in `unit`.
        why: what makes it as large as it is.
    """

    name: str
    unit: str
    tolerance: float
    why: str
    sql: str


def _hourly(mart: str, measured: str, true: str, where: str) -> str:
    return (
        f"select hours.label, mart.{measured}, hours.{true} from hours "
        f"left join published.{mart} as mart "
        "on hours.unit_id = mart.unit_id and hours.at_utc = mart.hour_start_utc "
        f"where {where}"
    )


def _daily(mart: str, measured: str, true: str, where: str = "true") -> str:
    return (
        f"select days.label, {measured}, {true} from days "
        f"left join published.{mart} as mart "
        "on days.unit_id = mart.unit_id and days.business_date = mart.business_date "
        "left join engaged "
        "on days.unit_id = engaged.unit_id and days.business_date = engaged.business_date "
        f"where {where}"
    )


def _zoned(measured: str, true: str, where: str = "true") -> str:
    return (
        f"select zone_label, mart.{measured}, zone_hours.{true} from zone_hours "
        "left join published.fct_zone_hourly as mart "
        "on zone_hours.zone_id = mart.zone_id and zone_hours.at_utc = mart.hour_start_utc "
        f"where {where}"
    )


def _categorised(mart: str, column: str, of_category: str, where: str) -> str:
    return (
        "select goods.category || ' ' || hours.label, mart.net_sales, goods.net_sales "
        "from category_hours as goods inner join hours using (unit_id, hour_start_utc) "
        f"left join published.{mart} as mart on goods.unit_id = mart.unit_id "
        f"and hours.at_utc = mart.hour_start_utc and mart.{column} = {of_category} "
        f"where not goods.is_feed_silent and {where}"
    )


_SEEN = "not is_camera_dark and not is_filmed"
_SOLD = "not is_feed_silent and hours.tickets > 0"
_SOLD_THAT_DAY = "not days.is_feed_silent and days.tickets > 0"
_MATCHED = "camera_dark_s = 0 and not is_feed_silent and not is_filmed and entries > 0"

METRICS: Final = (
    Metric(
        "entries by hour", "people", 0, _EXACT,
        _hourly("fct_traffic_hourly", "entry_count", "entries_seen", _SEEN),
    ),
    Metric(
        "exits by hour", "people", 0, _EXACT,
        _hourly("fct_traffic_hourly", "exit_count", "exits_seen", _SEEN),
    ),
    Metric(
        "entries, hour with video", "people", 2, _FILMED,
        _hourly("fct_traffic_hourly", "entry_count", "entries_seen", "is_filmed"),
    ),
    Metric(
        "exits, hour with video", "people", 2, _FILMED,
        _hourly("fct_traffic_hourly", "exit_count", "exits_seen", "is_filmed"),
    ),
    Metric(
        "tickets by hour", "tickets", 0, _TICKET,
        _hourly("fct_sales_hourly", "ticket_count", "tickets", "not is_feed_silent"),
    ),
    Metric(
        "net sales by hour", "EUR", 0, _TICKET,
        # what sold nothing has no amount
        _hourly("fct_sales_hourly", "net_sales", "net_sales", _SOLD),
    ),
    Metric(
        "net sales by category, hour", "EUR", 0, _TICKET,
        _categorised(
            "fct_category_sales_hourly", "category", "goods.category",
            "goods.tickets > 0",
        ),
    ),
    Metric(
        "net sales of a zone by hour", "EUR", 0, _TICKET,
        # the shelf shows the first category, and what no zone shows is unmapped
        _categorised(
            "fct_zone_sales_hourly", "zone_id",
            f"case when goods.category = '{CATEGORIES[0]}' then 'shelf-' || goods.unit_id "
            "else '_unmapped' end", "hours.tickets > 0",
        ),
    ),
    Metric(
        "conversion by hour", "pp", 0, _EXACT,
        "select label, 100 * measured, 100 * tickets / entries from (select hours.*, "
        "mart.conversion_rate as measured from hours left join published.fct_conversion_hourly "
        "as mart on hours.unit_id = mart.unit_id and hours.at_utc = mart.hour_start_utc) "
        f"where {_MATCHED}",
    ),
    Metric(
        "conversion by day", "pp", 0.1, _FILMED,
        _daily(
            "fct_conversion_daily", "100 * mart.conversion_rate",
            "100 * matched_tickets / matched_entries", "matched_entries > 0",
        ),
    ),
    Metric(
        "zone visits by hour", "visits", 2, _BRUSH,
        _zoned("visit_count", "visits"),
    ),
    Metric(
        "mean zone dwell by hour", "s", 2, _BRUSH,
        _zoned("mean_dwell_s", "mean_dwell_s", "zone_hours.visits > 0"),
    ),
    Metric(
        "person-seconds by zone, hour", "%", 1.0, _NOISE,
        "select label, 100 * mart.person_seconds / person_s, 100 from person_seconds "
        "left join published.fct_zone_hourly as mart "
        "on person_seconds.zone_id = mart.zone_id and person_seconds.at_utc = mart.hour_start_utc "
        "where person_s > 0",
    ),
    Metric(
        "occupancy at hour end", "people", 2, _FILMED,
        "select label, mart.occupancy, (select count(*) from walkers where "
        "walkers.unit_id = hours.unit_id and entered_at_utc < hours.hour_end "
        "and left_at_utc >= hours.hour_end) from hours left join published.fct_occupancy_hourly "
        "as mart on hours.unit_id = mart.unit_id and hours.at_utc = mart.hour_start_utc "
        "where dark_so_far_s = 0",
    ),
    Metric(
        "drift by day's end", "people", 2, _FILMED,
        "select hours.label, mart.occupancy, 0 from hours left join published.fct_occupancy_hourly "
        "as mart on hours.unit_id = mart.unit_id and hours.at_utc = mart.hour_start_utc "
        "inner join days on hours.unit_id = days.unit_id "
        "and hours.business_date = days.business_date and hours.at_utc = days.last_at_utc "
        "where dark_so_far_s = 0",
    ),
    Metric(
        "funnel: entered", "people", 2, _FILMED,
        _daily("fct_funnel_daily", "mart.entry_count", "matched_entries", "matched_entries > 0"),
    ),
    Metric(
        "funnel: engaged", "people", 3, f"{_NOISE}, and a dark camera cuts stays beside it",
        _daily(
            "fct_funnel_daily", "mart.engaged_count", "coalesce(engaged.people, 0)",
            "matched_entries > 0",
        ),
    ),
    Metric(
        "funnel: ticket", "tickets", 0, _TICKET,
        _daily("fct_funnel_daily", "mart.ticket_count", "matched_tickets", "matched_entries > 0"),
    ),
    Metric(
        "average ticket by day", "EUR", 0, _TICKET,
        _daily(
            "fct_sales_daily", "mart.average_ticket_value", "days.net_sales / days.tickets",
            _SOLD_THAT_DAY,
        ),
    ),
    Metric(
        "units per ticket by day", "goods", 0, _TICKET,
        _daily(
            "fct_sales_daily", "mart.units_per_ticket", "days.units / days.tickets",
            _SOLD_THAT_DAY,
        ),
    ),
    Metric(
        "net sales per m2 by day", "EUR/m2", 0, _TICKET,
        _daily(
            "fct_sales_density_daily", "mart.net_sales_per_gla_m2",
            f"cast(days.net_sales as double) / {PITCH_M * DEPTH_M}", _SOLD_THAT_DAY,
        ),
    ),
    Metric(
        "camera completeness by hour", "share", 0, "a dark camera says when it was dark",
        "select label, mart.completeness, 1 - camera_dark_s / hour_s from hours "
        "left join published.fct_traffic_hourly as mart "
        "on hours.unit_id = mart.unit_id and hours.at_utc = mart.hour_start_utc",
    ),
    Metric(
        "feed completeness by hour", "share", 0, "a silent till has no row for the hour",
        "select label, mart.feed_completeness, case when is_feed_silent then 0 else 1 end "
        "from hours left join published.fct_conversion_hourly as mart "
        "on hours.unit_id = mart.unit_id and hours.at_utc = mart.hour_start_utc",
    ),
)  # fmt: skip
