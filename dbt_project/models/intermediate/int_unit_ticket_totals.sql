-- Grain: one row per site, unit, connector, ext_ref_code and local hour with current ticket rows.
-- A row without category is the hour's total. Without one, amounts of the categories add up, and
-- tickets do not: one ticket may hold several categories, so their number is unknown.

{% set counts = ['num_tickets', 'num_returns'] %}
{% set amounts = ['gross_sales', 'returns_amount', 'net_sales', 'units'] %}

with

ticket_hours as (

    select * from {{ ref('int_unit_ticket_hours') }}

),

summed as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        count(*) as row_count,
        sum(case when category is null then 1 else 0 end) as total_row_count,
        {% for name in counts + amounts %}
            max(case when category is null then {{ name }} end) as total_{{ name }},
        {% endfor %}
        {% for name in counts %}
            max({{ name }}) as only_{{ name }},
        {% endfor %}
        {% for name in amounts %}
            case when count({{ name }}) = count(*) then sum({{ name }}) end as sum_{{ name }},
        {% endfor %}
        count(currency) as currency_row_count,
        min(currency) as first_currency,
        max(currency) as last_currency,
        sum(case when tax_included then 1 else 0 end) as taxed_row_count,
        sum(case when not tax_included then 1 else 0 end) as untaxed_row_count,
        max(fetched_at_utc) as fetched_at_utc

    from ticket_hours
    group by site_id, unit_id, connector_id, ext_ref_code, hour_start_utc

),

final as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        {% for name in counts %}
            case
                when total_row_count = 1 then total_{{ name }}
                when row_count = 1 then only_{{ name }}
            end as {{ name }},
        {% endfor %}
        {% for name in amounts %}
            coalesce(total_{{ name }}, sum_{{ name }}) as {{ name }},
        {% endfor %}
        case
            when currency_row_count = row_count and first_currency = last_currency
                then first_currency
        end as currency,
        case
            when taxed_row_count = row_count then true
            when untaxed_row_count = row_count then false
        end as tax_included,
        fetched_at_utc

    from summed

)

select * from final
