-- Grain: one row per site, zone, unit and local hour in which a visit began.

with

visits as (

    select * from {{ ref('stg_visits') }}

),

final as (

    select
        site_id,
        zone_id,
        unit_id,
        hour_start_utc,
        count(*) as visit_count,
        sum({{ microseconds('dwell_s') }}) as dwell_us

    from visits
    group by site_id, zone_id, unit_id, hour_start_utc

)

select * from final
