-- Grain: one row per site, unit, local hour and category with current tickets, over linked codes.
-- A figure is known where every code with the category told it.

{% set figures = [
    'ticket_count', 'return_count', 'gross_sales', 'returns_amount', 'net_sales', 'units'
] %}

with

totals as (

    select * from {{ ref('int_unit_ticket_totals') }}

),

category_hours as (

    select * from {{ ref('int_category_hours') }}

),

final as (

    select
        totals.site_id,
        totals.unit_id,
        totals.hour_start_utc,
        category_hours.category,
        {% for name in figures %}
            case
                when count(category_hours.{{ name }}) = count(*)
                    then sum(category_hours.{{ name }})
            end as {{ name }},
        {% endfor %}
        count(*) as code_count

    from totals
    inner join category_hours
        on
            totals.connector_id = category_hours.connector_id
            and totals.ext_ref_code = category_hours.ext_ref_code
            and totals.hour_start_utc = category_hours.hour_start_utc
    where category_hours.category <> {{ uncategorised() }}
    group by
        totals.site_id,
        totals.unit_id,
        totals.hour_start_utc,
        category_hours.category

)

select * from final
