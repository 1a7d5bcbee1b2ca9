-- Grain: one row per connector, ext_ref_code, local hour and category of current tickets.
-- As the feed says by category; where it does not, from the lines of the hour's tickets, where the
-- category _uncategorised is for lines without one and for tickets without lines.

{% set amounts = ['gross_sales', 'returns_amount', 'net_sales', 'units'] %}

with

ticket_hours as (

    select * from {{ ref('int_ticket_hours_current') }}

),

ticket_categories as (

    select * from {{ ref('int_ticket_categories') }}

),

fed as (

    select
        connector_id,
        ext_ref_code,
        hour_start_utc,
        category,
        'feed' as told_by,
        num_tickets as ticket_count,
        num_returns as return_count,
        {% for name in amounts %}
            {{ name }},
        {% endfor %}
        currency,
        tax_included,
        fetched_at_utc

    from ticket_hours
    where {{ is_category('category') }}

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
    group by connector_id, ext_ref_code, hour_start_utc, category

),

final as (

    select * from fed
    union all
    select
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
