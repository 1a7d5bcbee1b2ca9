-- Grain: one row per site, unit and local hour in which the unit has a zone that people engage in.
-- These are its zones of role selling, display and fitting. Joined by business date too, as in
-- int_funnel_hours. is_staff_told: every camera of these zones sees a zone of role staff.

with

zone_hours as (

    select *

    from {{ ref('int_zone_hours') }}
    where role in ('selling', 'display', 'fitting') and unit_id <> '_common'

),

zone_cameras as (

    select * from {{ ref('int_zone_cameras') }}

),

camera_hours as (

    select * from {{ ref('int_camera_hours') }}

),

staff_cameras as (

    select * from {{ ref('int_staff_cameras') }}

),

final as (

    select
        zone_hours.site_id,
        zone_hours.unit_id,
        zone_hours.hour_start_utc,
        zone_hours.business_date,
        max(case when zone_cameras.camera_id is null then 1 else 0 end) = 1 as has_unseen_zone,
        min(camera_hours.completeness) as completeness,
        min(camera_hours.coverage_reason) as coverage_reason,
        min(
            case
                when zone_cameras.camera_id is not null and staff_cameras.camera_id is null then 0
                else 1
            end
        ) = 1 as is_staff_told

    from zone_hours
    left join zone_cameras
        on
            zone_hours.site_id = zone_cameras.site_id
            and zone_hours.zone_id = zone_cameras.zone_id
            and zone_hours.unit_id = zone_cameras.unit_id
            and zone_hours.hour_start_utc = zone_cameras.hour_start_utc
            and zone_hours.business_date = zone_cameras.business_date
    left join camera_hours
        on
            zone_cameras.site_id = camera_hours.site_id
            and zone_cameras.camera_id = camera_hours.camera_id
            and zone_cameras.hour_start_utc = camera_hours.hour_start_utc
    left join staff_cameras
        on
            zone_cameras.site_id = staff_cameras.site_id
            and zone_cameras.camera_id = staff_cameras.camera_id
            and zone_cameras.hour_start_utc = staff_cameras.hour_start_utc
            and zone_cameras.business_date = staff_cameras.business_date
    group by
        zone_hours.site_id,
        zone_hours.unit_id,
        zone_hours.hour_start_utc,
        zone_hours.business_date

)

select * from final
