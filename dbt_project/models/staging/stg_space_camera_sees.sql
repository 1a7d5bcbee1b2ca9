-- Grain: one row per version of what a camera sees.

with

source as (

    select * from {{ source('lake', 'space_camera_sees') }}

),

final as (

    select
        site_id,
        camera_id,
        sees_kind,
        sees_id,
        {{ utc_timestamp('valid_from_utc') }} as valid_from_utc,
        {{ utc_timestamp('valid_to_utc') }} as valid_to_utc

    from source

)

select * from final
