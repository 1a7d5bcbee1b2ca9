"""The truth of a simulated mall as views, as accuracy_metrics asks them."""

from typing import Final

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
