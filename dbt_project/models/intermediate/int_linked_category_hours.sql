-- Grain: one row per site, unit, connector, ext_ref_code, hour and category of current tickets.
-- As the feed says by category; where it does not, from the lines of the hour's tickets, where the
-- category _uncategorised is for lines without one and for tickets without lines. The categories of
-- each code are of the unit it is linked to at that hour.

{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected(['site_id', 'unit_id', 'hour_start_utc']) }}"
) }}

{% set amounts = ['gross_sales', 'returns_amount', 'net_sales', 'units'] %}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

totals as (

    select *

    from {{ ref('int_unit_ticket_totals') }} as every_total
    {{ where_affected('every_total', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

-- codes have no unit to be affected, and bounds on the totals do not reach them
ticket_hours as (

    select *

    from {{ ref('int_ticket_hours_current') }} as every_answer
    {% if is_incremental() %}
        where {{ lies_between_affected('every_answer', ['hour_start_utc']) }}
    {% endif %}

),

ticket_categories as (

    select *

    from {{ ref('int_linked_ticket_categories') }} as every_ticket
    {{ where_affected('every_ticket', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

fed as (

    select
        totals.site_id,
        totals.unit_id,
        ticket_hours.connector_id,
        ticket_hours.ext_ref_code,
        ticket_hours.hour_start_utc,
        ticket_hours.category,
        'feed' as told_by,
        ticket_hours.num_tickets as ticket_count,
        ticket_hours.num_returns as return_count,
        {% for name in amounts %}
            ticket_hours.{{ name }},
        {% endfor %}
        ticket_hours.currency,
        ticket_hours.tax_included,
        ticket_hours.fetched_at_utc

    from totals
    inner join ticket_hours
        on
            totals.connector_id = ticket_hours.connector_id
            and totals.ext_ref_code = ticket_hours.ext_ref_code
            and totals.hour_start_utc = ticket_hours.hour_start_utc
    where {{ is_category('ticket_hours.category') }}

),

fed_hours as (

    select distinct
        connector_id,
        ext_ref_code,
        hour_start_utc

    from fed

),

-- amounts of a ticket above 0 are gross sales, of one below 0 returns, as in the hour's total
lined as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        category,
        'lines' as told_by,
        sum(case when kind = 'sale' then 1 else 0 end) as ticket_count,
        sum(case when kind = 'return' then 1 else 0 end) as return_count,
        sum(case when is_gross then net_sales else 0 end) as gross_sales,
        sum(case when is_gross then 0 else -net_sales end) as returns_amount,
        sum(net_sales) as net_sales,
        sum(units) as units,
        count(net_sales) as net_told,
        count(units) as units_told,
        count(*) as told,
        -- an hour of several currencies or tax bases has no total, and so no amounts here
        min(currency) as currency,
        max(case when tax_included then 1 when not tax_included then 0 end) as is_taxed,
        max(fetched_at_utc) as fetched_at_utc

    from ticket_categories
    group by site_id, unit_id, connector_id, ext_ref_code, hour_start_utc, category

),

final as (

    select * from fed
    union all
    select
        lined.site_id,
        lined.unit_id,
        lined.connector_id,
        lined.ext_ref_code,
        lined.hour_start_utc,
        lined.category,
        lined.told_by,
        lined.ticket_count,
        lined.return_count,
        {% for name in ['gross_sales', 'returns_amount', 'net_sales'] %}
            case when lined.net_told = lined.told then lined.{{ name }} end as {{ name }},
        {% endfor %}
        case when lined.units_told = lined.told then lined.units end as units,
        lined.currency,
        lined.is_taxed = 1 as tax_included,
        lined.fetched_at_utc

    from lined
    left join fed_hours
        on
            lined.connector_id = fed_hours.connector_id
            and lined.ext_ref_code = fed_hours.ext_ref_code
            and lined.hour_start_utc = fed_hours.hour_start_utc
    where fed_hours.connector_id is null

)

select * from final
