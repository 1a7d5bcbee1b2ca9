-- Grain: one row per site with a staff rule, local hour and camera that sees a zone of role staff.
-- Tracklets of other cameras are never flagged, so what these count can only be gross.

with

staff_rules as (

    select * from {{ ref('stg_space_staff') }}

),

zone_hours as (

    select * from {{ ref('int_zone_hours') }}

),

zone_cameras as (

    select * from {{ ref('int_zone_cameras') }}

),

final as (

    select distinct
        zone_cameras.site_id,
        zone_cameras.hour_start_utc,
        zone_cameras.business_date,
        zone_cameras.camera_id

    from zone_cameras
    inner join zone_hours
        on
            zone_cameras.site_id = zone_hours.site_id
            and zone_cameras.zone_id = zone_hours.zone_id
            and zone_cameras.unit_id = zone_hours.unit_id
            and zone_cameras.hour_start_utc = zone_hours.hour_start_utc
            and zone_hours.role = 'staff'
    inner join staff_rules on zone_cameras.site_id = staff_rules.site_id

)

select * from final
