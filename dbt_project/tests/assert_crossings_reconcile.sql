{{ config(meta={'dagster': {'ref': {'name': 'fct_traffic_hourly'}}}) }}
-- Every staged crossing of an entrance line, in an hour of the spine, is counted in its unit-hour
-- or lies in a unit-hour that no camera covered; none is lost, none counted twice.

with

crossings as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        count(*) as crossing_count

    from {{ ref('int_entrance_crossings') }}
    group by site_id, unit_id, hour_start_utc

),

traffic as (

    select * from {{ ref('fct_traffic_hourly') }}

),

final as (

    select
        traffic.unit_key,
        traffic.hour_start_utc,
        traffic.entry_count + traffic.exit_count as counted,
        coalesce(crossings.crossing_count, 0) as staged

    from traffic
    left join crossings
        on
            traffic.site_id = crossings.site_id
            and traffic.unit_id = crossings.unit_id
            and traffic.hour_start_utc = crossings.hour_start_utc
    where traffic.entry_count + traffic.exit_count <> coalesce(crossings.crossing_count, 0)

)

select * from final
