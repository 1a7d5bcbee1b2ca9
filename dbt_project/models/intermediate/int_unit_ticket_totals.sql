-- Grain: one row per site, unit, connector, ext_ref_code and local hour with current ticket rows.
-- A row without category is the hour's total. Without one, amounts of the categories add up where
-- they are of one currency and tax basis; tickets do not, since one may hold several categories.

{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected(['site_id', 'unit_id', 'hour_start_utc']) }}"
) }}

{% set counts = ['num_tickets', 'num_returns'] %}
{% set amounts = ['gross_sales', 'returns_amount', 'net_sales', 'units'] %}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

ticket_hours as (

    select *

    from {{ ref('int_unit_ticket_hours') }} as every_row
    {{ where_affected('every_row', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

-- with a total, only the total; without one, all categories
counted as (

    select * from ticket_hours
    where category is null or not has_total

),

summed as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        {% for name in counts %}
            case when count(*) = 1 then max({{ name }}) end as {{ name }},
        {% endfor %}
        {% for name in amounts %}
            case when count({{ name }}) = count(*) then sum({{ name }}) end as {{ name }},
        {% endfor %}
        {{ tally_money('1 = 1') }},
        max(fetched_at_utc) as fetched_at_utc

    from counted
    group by site_id, unit_id, connector_id, ext_ref_code, hour_start_utc

),

reasoned as (

    select
        *,
        case
            {{ when_money_differs() }}
        end as amount_reason

    from summed

),

final as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        num_tickets,
        num_returns,
        {% for name in amounts %}
            case when amount_reason is null then {{ name }} end as {{ name }},
        {% endfor %}
        case when amount_reason is null then first_currency end as currency,
        case when amount_reason is null then {{ tallied_tax() }} end as tax_included,
        amount_reason,
        fetched_at_utc

    from reasoned

)

select * from final
