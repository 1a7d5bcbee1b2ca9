-- Grain: one row per zone and minute with somebody in it.

with

source as (

    select * from {{ source('lake', 'zone_occupancy') }}

),

final as (

    select
        site_id,
        unit_id,
        zone_id,
        {{ utc_timestamp('minute_utc') }} as minute_utc,
        person_seconds,
        max_occupancy,
        distinct_count,
        {{ utc_timestamp('hour_start_utc') }} as hour_start_utc,
        rule_version,
        geometry_version

    from source

)

select * from final
