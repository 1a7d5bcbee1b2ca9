{{ config(meta={'dagster': {'ref': {'name': 'dim_hour'}}}) }}
-- Every hour of an hourly fact is in dim_hour, so that a join by site_id and hour_start_utc loses
-- no row.

{% set facts = [
    'fct_traffic_hourly',
    'fct_sales_hourly',
    'fct_category_sales_hourly',
    'fct_conversion_hourly',
    'fct_zone_hourly',
    'fct_zone_sales_hourly',
    'fct_queue_hourly',
    'fct_occupancy_hourly',
    'fct_data_completeness_hourly',
] %}

with

hours as (

    select * from {{ ref('dim_hour') }}

),

fact_hours as (

    {% for fact in facts %}
        select
            site_id,
            hour_start_utc

        from {{ ref(fact) }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select distinct
        fact_hours.site_id,
        fact_hours.hour_start_utc

    from fact_hours
    left join hours
        on
            fact_hours.site_id = hours.site_id
            and fact_hours.hour_start_utc = hours.hour_start_utc
    where hours.site_id is null

)

select * from final
