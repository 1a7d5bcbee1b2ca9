-- Grain: one row per version of a unit's floor area.

with

source as (

    select * from {{ source('lake', 'space_area') }}

),

final as (

    select
        site_id,
        unit_id,
        gla_m2,
        selling_m2,
        {{ utc_timestamp('valid_from_utc') }} as valid_from_utc,
        {{ utc_timestamp('valid_to_utc') }} as valid_to_utc

    from source

)

select * from final
