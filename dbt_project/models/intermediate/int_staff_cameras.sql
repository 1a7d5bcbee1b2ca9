-- Grain: one row per site with a staff rule, local hour and camera that sees a zone of role staff.
-- Tracklets of other cameras are never flagged, so what these count can only be gross.

with

staff_rules as (

    select * from {{ ref('stg_space_staff') }}

),

zones as (

    select * from {{ ref('stg_space_zone') }}

),

camera_sees as (

    select * from {{ ref('stg_space_camera_sees') }}

),

site_hours as (

    select * from {{ ref('int_site_hours') }}

),

final as (

    select distinct
        site_hours.site_id,
        site_hours.hour_start_utc,
        site_hours.business_date,
        camera_sees.camera_id

    from staff_rules
    inner join zones
        on
            staff_rules.site_id = zones.site_id
            and zones.role = 'staff'
    inner join camera_sees
        on
            zones.site_id = camera_sees.site_id
            and zones.zone_id = camera_sees.sees_id
            and camera_sees.sees_kind = 'zone'
    inner join site_hours
        on
            zones.site_id = site_hours.site_id
            and {{ valid_at('zones', 'site_hours.hour_start_utc') }}
            and {{ valid_at('camera_sees', 'site_hours.hour_start_utc') }}

)

select * from final
