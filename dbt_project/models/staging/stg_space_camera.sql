-- Grain: one row per version of a camera.

with

source as (

    select * from {{ source('lake', 'space_camera') }}

),

final as (

    select
        site_id,
        camera_id,
        camera_version,
        {{ utc_timestamp('valid_from_utc') }} as valid_from_utc,
        {{ utc_timestamp('valid_to_utc') }} as valid_to_utc

    from source

)

select * from final
