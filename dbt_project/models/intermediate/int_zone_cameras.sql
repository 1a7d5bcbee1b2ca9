-- Grain: one row per site, zone, unit, local hour and camera that sees the zone in that hour.

with

zone_hours as (

    select * from {{ ref('int_zone_hours') }}

),

camera_sees as (

    select * from {{ ref('stg_space_camera_sees') }}

),

final as (

    select distinct
        zone_hours.site_id,
        zone_hours.zone_id,
        zone_hours.unit_id,
        zone_hours.hour_start_utc,
        zone_hours.business_date,
        camera_sees.camera_id

    from zone_hours
    inner join camera_sees
        on
            zone_hours.site_id = camera_sees.site_id
            and zone_hours.zone_id = camera_sees.sees_id
            and camera_sees.sees_kind = 'zone'
            and {{ valid_at('camera_sees', 'zone_hours.hour_start_utc') }}

)

select * from final
