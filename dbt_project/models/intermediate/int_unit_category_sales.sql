-- Grain: one row per site, unit, local hour and category with current tickets, over linked codes.
-- A figure is known where every code with the category told it.

{% set figures = [
    'ticket_count', 'return_count', 'gross_sales', 'returns_amount', 'net_sales', 'units'
] %}

with

category_hours as (

    select * from {{ ref('int_linked_category_hours') }}

),

final as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        category,
        {% for name in figures %}
            case
                when count({{ name }}) = count(*)
                    then sum({{ name }})
            end as {{ name }},
        {% endfor %}
        count(*) as code_count

    from category_hours
    where category <> {{ uncategorised() }}
    group by site_id, unit_id, hour_start_utc, category

)

select * from final
