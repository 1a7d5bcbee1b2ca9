-- Grain: one row per version of a unit's tenancy. Who does not share the unit has a share of 1.

with

source as (

    select * from {{ source('lake', 'space_tenancy') }}

),

final as (

    select
        site_id,
        unit_id,
        tenant_id,
        operator_id,
        category,
        {{ as_share('coalesce(share, 1)') }} as unit_share,
        {{ utc_timestamp('valid_from_utc') }} as valid_from_utc,
        {{ utc_timestamp('valid_to_utc') }} as valid_to_utc

    from source

)

select * from final
