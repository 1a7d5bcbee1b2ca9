-- Grain: one row per site and camera, whether it still holds or not.
-- The version shown is that of the last hour of the site's calendar, else its last one.

{{ config(materialized='table') }}

with

cameras as (

    select * from {{ ref('int_cameras') }}

),

final as (

    select
        site_id || '/' || camera_id as camera_key,
        site_id,
        camera_id,
        camera_version,
        valid_from_utc,
        valid_to_utc,
        is_current

    from cameras

)

select * from final
