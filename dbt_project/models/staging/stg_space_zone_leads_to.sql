-- Grain: one row per version of a queue zone and service zone that it leads to.

with

source as (

    select * from {{ source('lake', 'space_zone_leads_to') }}

),

final as (

    select
        site_id,
        unit_id,
        zone_id,
        service_zone_id,
        {{ utc_timestamp('valid_from_utc') }} as valid_from_utc,
        {{ utc_timestamp('valid_to_utc') }} as valid_to_utc

    from source

)

select * from final
