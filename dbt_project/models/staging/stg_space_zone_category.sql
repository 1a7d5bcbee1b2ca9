-- Grain: one row per version of a zone and category that it shows.

with

source as (

    select * from {{ source('lake', 'space_zone_category') }}

),

final as (

    select
        site_id,
        unit_id,
        zone_id,
        category,
        {{ utc_timestamp('valid_from_utc') }} as valid_from_utc,
        {{ utc_timestamp('valid_to_utc') }} as valid_to_utc

    from source

)

select * from final
