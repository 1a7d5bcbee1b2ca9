"""What of a simulated mall is compared with its truth, and the tolerance of each.

Each query gives (where, measured, true), one row for each value that the truth says can be
measured: null in `measured` is a value that the marts lack.
"""

from dataclasses import dataclass
from typing import Final

from ksi_pipeline.sandbox.mall import DEPTH_M, PITCH_M

# hours: open unit-hours, naive UTC as in the marts. is_clear: the camera looked all the hour, and
# all of the hours beside it, so that no stay was cut; is_filmed: the video is in it.
_HOURS = """
create view hours as
select
    truth.*,
    truth.hour_start_utc at time zone 'UTC' as at_utc,
    cast(truth.local_hour as date) as business_date,
    extract(epoch from truth.hour_end - truth.hour_start_utc) as hour_s,
    exists (
        select 1 from video
        where video.from_utc < truth.hour_end and video.to_utc > truth.hour_start_utc
    ) as is_filmed,
    max(truth.camera_dark_s) over (
        partition by truth.unit_id order by truth.hour_start_utc
        rows between 1 preceding and 1 following
    ) = 0 as is_clear,
    sum(truth.camera_dark_s) over (
        partition by truth.unit_id, cast(truth.local_hour as date)
        order by truth.hour_start_utc
    ) as dark_so_far_s,
    truth.unit_id || strftime(truth.local_hour, ' %d. %H:%M') as label
from (select *, hour_start_utc + interval 1 hour as hour_end from unit_hours) as truth
"""
_ZONE_HOURS = """
create view zone_hours as
select
    zones.zone_id,
    hours.*,
    zones.zone_id || strftime(hours.local_hour, ' %d. %H:%M') as zone_label,
    coalesce(stays.visits, 0) as visits,
    stays.mean_dwell_s
from hours
inner join (select distinct unit_id, zone_id from zone_visits) as zones
    on hours.unit_id = zones.unit_id
left join (
    select
        zone_id,
        hours.hour_start_utc,
        count(*) as visits,
        avg(epoch(left_at_utc) - epoch(entered_at_utc)) as mean_dwell_s
    from zone_visits
    inner join hours
        on zone_visits.unit_id = hours.unit_id
        and entered_at_utc >= hours.hour_start_utc and entered_at_utc < hours.hour_end
    group by zone_id, hours.hour_start_utc
) as stays on zones.zone_id = stays.zone_id and hours.hour_start_utc = stays.hour_start_utc
where hours.is_clear and not hours.is_filmed
"""
_PERSON_SECONDS = """
create view person_seconds as
select
    zone_hours.zone_id,
    zone_hours.at_utc,
    any_value(zone_label) as label,
    coalesce(sum(
        epoch(least(zone_visits.left_at_utc, zone_hours.hour_end))
        - epoch(greatest(zone_visits.entered_at_utc, zone_hours.hour_start_utc))
    ), 0) as person_s
from zone_hours
left join zone_visits
    on zone_hours.zone_id = zone_visits.zone_id
    and zone_visits.entered_at_utc < zone_hours.hour_end
    and zone_visits.left_at_utc > zone_hours.hour_start_utc
group by zone_hours.zone_id, zone_hours.at_utc
"""
# matched: hours in which camera and till were there throughout, which is what days pool.
_DAYS = """
create view days as
select
    unit_id,
    business_date,
    unit_id || strftime(business_date, ' %d.') as label,
    sum(net_sales) as net_sales,
    sum(units) as units,
    sum(tickets) as tickets,
    bool_or(is_feed_silent) as is_feed_silent,
    max(at_utc) as last_at_utc,
    sum(entries) filter (where camera_dark_s = 0 and not is_feed_silent) as matched_entries,
    sum(tickets) filter (where camera_dark_s = 0 and not is_feed_silent) as matched_tickets
from hours
group by unit_id, business_date
"""
_ENGAGED = """
create view engaged as
select hours.unit_id, hours.business_date, count(distinct zone_visits.walker_id) as people
from hours
inner join zone_visits
    on hours.unit_id = zone_visits.unit_id
    and entered_at_utc >= hours.hour_start_utc and entered_at_utc < hours.hour_end
where
    hours.camera_dark_s = 0 and not hours.is_feed_silent
    and not starts_with(zone_visits.zone_id, 'till-')
    and epoch(left_at_utc) - epoch(entered_at_utc) >= 60
group by hours.unit_id, hours.business_date
"""
TRUTH_VIEWS: Final = (_HOURS, _ZONE_HOURS, _PERSON_SECONDS, _DAYS, _ENGAGED)

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
