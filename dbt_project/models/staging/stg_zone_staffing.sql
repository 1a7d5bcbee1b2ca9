-- Grain: one row per zone, geometry, local hour and UTC day with a customer in the zone.

with

source as (

    select * from {{ source('lake', 'zone_staffing') }}

),

final as (

    select
        site_id,
        unit_id,
        zone_id,
        {{ utc_timestamp('hour_start_utc') }} as hour_start_utc,
        customer_s,
        uncovered_s,
        rule_version,
        geometry_version

    from source

)

select * from final
