{{ config(meta={'dagster': {'ref': {'name': 'fct_conversion_hourly'}}}) }}
-- No row says measured below the threshold, and no row that is not measured lacks its reason.

{% set facts = [
    'fct_data_completeness_hourly',
    'fct_traffic_hourly',
    'fct_zone_hourly',
    'fct_queue_hourly',
    'fct_sales_hourly',
    'fct_sales_daily',
    'fct_category_sales_hourly',
    'fct_zone_sales_hourly',
    'fct_conversion_hourly',
    'fct_conversion_daily',
    'fct_sales_density_daily',
    'fct_funnel_daily',
    'fct_occupancy_hourly',
] %}

with

facts as (

    {% for fact in facts %}
        select
            '{{ fact }}' as fact,
            unit_key,
            completeness,
            basis,
            reason

        from {{ ref(fact) }}
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select *

    from facts
    where
        (
            basis = 'measured'
            and (completeness is null or completeness < {{ var('completeness_complete') }})
        )
        or (basis <> 'measured' and reason is null)
        or completeness < 0
        or completeness > 1

)

select * from final
