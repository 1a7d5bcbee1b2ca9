-- A crossing in a unit-hour that no entrance camera covered says that coverage is missing for
-- something that was seen. The row stays null, because nobody knows how much else went unseen.

{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'fct_traffic_hourly'}}}) }}

with

crossings as (

    select * from {{ ref('int_entrance_crossings') }}

),

traffic as (

    select * from {{ ref('fct_traffic_hourly') }}

),

final as (

    select
        traffic.unit_key,
        traffic.hour_start_utc,
        count(*) as uncounted_crossings

    from crossings
    inner join traffic
        on
            crossings.site_id = traffic.site_id
            and crossings.unit_id = traffic.unit_id
            and crossings.hour_start_utc = traffic.hour_start_utc
    where traffic.entry_count is null
    group by traffic.unit_key, traffic.hour_start_utc

)

select * from final
