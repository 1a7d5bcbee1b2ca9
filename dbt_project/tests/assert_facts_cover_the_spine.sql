{{ config(meta={'dagster': {'ref': {'name': 'fct_conversion_hourly'}}}) }}
-- Every unit has a row for every local hour of the calendar, and no row beside it. A gap means that
-- the calendar or the space model changed without its hours being recorded as affected; a run with
-- --full-refresh closes it.

with

spine as (

    select * from {{ ref('int_unit_hours') }}

),

traffic as (

    select * from {{ ref('fct_traffic_hourly') }}

),

sales as (

    select * from {{ ref('fct_sales_hourly') }}

),

conversion as (

    select * from {{ ref('fct_conversion_hourly') }}

),

facts as (

    select
        unit_key,
        hour_start_utc

    from traffic
    union all
    select
        unit_key,
        hour_start_utc

    from sales
    union all
    select
        unit_key,
        hour_start_utc

    from conversion

),

counted as (

    select
        unit_key,
        hour_start_utc,
        count(*) as row_count

    from facts
    group by unit_key, hour_start_utc

),

final as (

    select
        coalesce(spine.unit_key, counted.unit_key) as unit_key,
        coalesce(spine.hour_start_utc, counted.hour_start_utc) as hour_start_utc,
        counted.row_count

    from spine
    full outer join counted
        on
            spine.unit_key = counted.unit_key
            and spine.hour_start_utc = counted.hour_start_utc
    where
        spine.unit_key is null
        or counted.row_count is null
        or counted.row_count <> 3

)

select * from final
