-- Grain: one row per site, zone, unit and local hour with somebody in the zone.

with

occupancy as (

    select * from {{ ref('stg_zone_occupancy') }}

),

final as (

    select
        site_id,
        zone_id,
        unit_id,
        hour_start_utc,
        sum({{ microseconds('person_seconds') }}) as person_us,
        max(max_occupancy) as max_occupancy

    from occupancy
    group by site_id, zone_id, unit_id, hour_start_utc

)

select * from final
