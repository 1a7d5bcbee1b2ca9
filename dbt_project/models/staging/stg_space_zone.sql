-- Grain: one row per version of a zone.

with

source as (

    select * from {{ source('lake', 'space_zone') }}

),

final as (

    select
        site_id,
        unit_id,
        zone_id,
        role,
        geometry_version,
        area_m2,
        polygon_wkt,
        {{ utc_timestamp('valid_from_utc') }} as valid_from_utc,
        {{ utc_timestamp('valid_to_utc') }} as valid_to_utc

    from source

)

select * from final
