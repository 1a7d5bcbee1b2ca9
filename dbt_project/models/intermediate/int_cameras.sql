-- Grain: one row per site and camera, whether it still holds or not.
-- The version shown is the one of the last hour of the site's calendar, else its last.

with

cameras as (

    select * from {{ ref('stg_space_camera') }}

),

sites as (

    select * from {{ ref('int_sites') }}

),

ranked as (

    select
        cameras.*,
        coalesce({{ valid_at('cameras', 'sites.last_hour_start_utc') }}, false) as is_current,
        row_number() over (
            partition by cameras.site_id, cameras.camera_id
            order by {{ version_order('cameras', 'sites.last_hour_start_utc') }}
        ) as version_rank

    from cameras
    inner join sites on cameras.site_id = sites.site_id

),

final as (

    select
        site_id,
        camera_id,
        camera_version,
        valid_from_utc,
        valid_to_utc,
        is_current

    from ranked
    where version_rank = 1

)

select * from final
