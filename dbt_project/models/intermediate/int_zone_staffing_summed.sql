-- Grain: one row per site, zone, unit and local hour with a customer in the zone.
-- An hour over midnight UTC comes in two rows, which add up.

with

staffing as (

    select * from {{ ref('stg_zone_staffing') }}

),

final as (

    select
        site_id,
        zone_id,
        unit_id,
        hour_start_utc,
        sum({{ microseconds('customer_s') }}) as customer_us,
        sum({{ microseconds('uncovered_s') }}) as uncovered_us

    from staffing
    group by site_id, zone_id, unit_id, hour_start_utc

)

select * from final
