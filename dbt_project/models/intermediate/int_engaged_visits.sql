-- Grain: one row per site, unit, local hour and tracklet that engaged in a visit it began then.
-- A visit engages from engaged_dwell_s on. One that was cut short and is shorter does not count:
-- nobody saw how long it was.

with

visits as (

    select * from {{ ref('stg_visits') }}

),

zone_hours as (

    select * from {{ ref('int_zone_hours') }}

),

staff as (

    select *

    from {{ ref('stg_tracklet_staff') }}
    where is_staff

),

final as (

    select distinct
        visits.site_id,
        visits.unit_id,
        visits.hour_start_utc,
        zone_hours.business_date,
        visits.tracklet_id,
        staff.tracklet_id is not null as is_staff

    from visits
    inner join zone_hours
        on
            visits.site_id = zone_hours.site_id
            and visits.zone_id = zone_hours.zone_id
            and visits.unit_id = zone_hours.unit_id
            and visits.hour_start_utc = zone_hours.hour_start_utc
            and zone_hours.role in ('selling', 'display', 'fitting')
    left join staff
        on
            visits.site_id = staff.site_id
            and visits.tracklet_id = staff.tracklet_id
    where visits.dwell_s >= {{ var('engaged_dwell_s') }}

)

select * from final
