{{ config(meta={'dagster': {'ref': {'name': 'fct_zone_sales_hourly'}}}) }}
-- Net sales over the categories of a unit's hour, and over its zones, are its net sales to the last
-- decimal; neither mart leaves out an hour, and neither knows an amount that the hour does not.

with

sales as (

    select * from {{ ref('fct_sales_hourly') }}

),

parts as (

    select
        'category' as kind,
        unit_key,
        hour_start_utc,
        net_sales

    from {{ ref('fct_category_sales_hourly') }}
    union all
    select
        'zone' as kind,
        unit_key,
        hour_start_utc,
        net_sales

    from {{ ref('fct_zone_sales_hourly') }}

),

summed as (

    select
        kind,
        unit_key,
        hour_start_utc,
        sum(net_sales) as net_sales

    from parts
    group by kind, unit_key, hour_start_utc

),

kinds as (

    select 'category' as kind
    union all
    select 'zone' as kind

),

expected as (

    select
        kinds.kind,
        sales.unit_key,
        sales.hour_start_utc,
        sales.net_sales

    from sales
    cross join kinds

),

final as (

    select
        coalesce(expected.kind, summed.kind) as kind,
        coalesce(expected.unit_key, summed.unit_key) as unit_key,
        coalesce(expected.hour_start_utc, summed.hour_start_utc) as hour_start_utc,
        expected.net_sales as expected_net_sales,
        summed.net_sales

    from expected
    full outer join summed
        on
            expected.kind = summed.kind
            and expected.unit_key = summed.unit_key
            and expected.hour_start_utc = summed.hour_start_utc
    where
        expected.unit_key is null
        or summed.unit_key is null
        or coalesce(expected.net_sales, 0) <> coalesce(summed.net_sales, 0)
        or (expected.net_sales is null and summed.net_sales is not null)
        or (expected.net_sales is not null and summed.net_sales is null)

)

select * from final
