-- Grain: one row per site, unit and counting line, whether it still holds or not.
-- The version shown is that of the last hour of the site's calendar, else its last one.

{{ config(materialized='table') }}

with

lines as (

    select * from {{ ref('int_lines') }}

),

final as (

    select
        site_id || '/' || unit_id || '/' || line_id as line_key,
        site_id || '/' || unit_id as unit_key,
        site_id,
        unit_id,
        line_id,
        role,
        geometry_version,
        valid_from_utc,
        valid_to_utc,
        is_current

    from lines

)

select * from final
