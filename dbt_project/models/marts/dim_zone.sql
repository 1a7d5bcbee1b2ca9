-- Grain: one row per site, unit and zone, whether it still holds or not.
-- The version shown is that of the last hour of the site's calendar, else its last one.

{{ config(materialized='table') }}

with

zones as (

    select * from {{ ref('int_zones') }}

),

units as (

    select * from {{ ref('int_units') }}

),

final as (

    select
        zones.site_id || '/' || zones.unit_id || '/' || zones.zone_id as zone_key,
        zones.site_id || '/' || zones.unit_id as unit_key,
        zones.site_id,
        zones.unit_id,
        zones.zone_id,
        zones.role,
        units.floor,
        zones.area_m2,
        zones.polygon_wkt,
        zones.geometry_version,
        zones.valid_from_utc,
        zones.valid_to_utc,
        zones.is_current

    from zones
    left join units
        on
            zones.site_id = units.site_id
            and zones.unit_id = units.unit_id

)

select * from final
