-- Grain: one row per version of a counting line.

with

source as (

    select * from {{ source('lake', 'space_line') }}

),

final as (

    select
        site_id,
        unit_id,
        line_id,
        role,
        geometry_version,
        {{ utc_timestamp('valid_from_utc') }} as valid_from_utc,
        {{ utc_timestamp('valid_to_utc') }} as valid_to_utc

    from source

)

select * from final
