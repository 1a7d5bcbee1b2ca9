-- Grain: one row per site, unit and zone, whether it still holds or not.
-- The version shown is that of the last hour of the site's calendar, else its last one.

{{ config(materialized='table') }}

with

zones as (

    select * from {{ ref('int_zones') }}

),

final as (

    select
        site_id || '/' || unit_id || '/' || zone_id as zone_key,
        site_id || '/' || unit_id as unit_key,
        site_id,
        unit_id,
        zone_id,
        role,
        geometry_version,
        valid_from_utc,
        valid_to_utc,
        is_current

    from zones

)

select * from final
