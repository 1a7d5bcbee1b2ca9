-- Grain: one row per version of the link from a ticket code to a unit.

with

source as (

    select * from {{ source('lake', 'space_link') }}

),

final as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        {{ utc_timestamp('valid_from_utc') }} as valid_from_utc,
        {{ utc_timestamp('valid_to_utc') }} as valid_to_utc

    from source

)

select * from final
