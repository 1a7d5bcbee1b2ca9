-- Grain: one row per site, unit, business date and convention.
-- What others call average ticket and conversion, beside ours, from the same tickets and entries.

{{ config(
    pre_hook="{{ delete_affected(
        ['site_id', 'unit_id', 'business_date'], 'int_affected_unit_dates'
    ) }}"
) }}

{% set ours = 'net_sales_by_sales' %}
{% set conventions = {
    ours: ('net_sales', 'ticket_count', 'units', 'net_entry_count'),
    'gross_sales_by_sales': ('gross_sales', 'ticket_count', 'sale_units', 'net_entry_count'),
    'net_sales_by_transactions':
        ('net_sales', 'ticket_count + return_count', 'units', 'net_entry_count'),
    'net_sales_by_net_tickets':
        ('net_sales', 'ticket_count - return_count', 'units', 'net_entry_count'),
    'net_sales_by_buying_units': ('net_sales', 'ticket_count', 'units', 'buying_unit_count'),
} %}

with

affected as (

    select * from {{ ref('int_affected_unit_dates') }}

),

sales_days as (

    select *

    from {{ ref('fct_sales_daily') }} as every_sales_day
    {{ where_affected('every_sales_day', ['site_id', 'unit_id', 'business_date']) }}

),

conversion_days as (

    select *

    from {{ ref('fct_conversion_daily') }} as every_day
    {{ where_affected('every_day', ['site_id', 'unit_id', 'business_date']) }}

),

sales_hours as (

    select *

    from {{ ref('fct_sales_hourly') }} as every_sale
    {{ where_affected('every_sale', ['site_id', 'unit_id', 'business_date']) }}

),

conversion_hours as (

    select *

    from {{ ref('fct_conversion_hourly') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'business_date']) }}

),

buying_units as (

    select * from {{ ref('int_buying_units') }}

),

matched_hours as (

    select
        sales_hours.*,
        case
            when sales_hours.net_sales is not null or sales_hours.ticket_count > 0 then 1
            else 0
        end as is_told

    from sales_hours
    inner join conversion_hours
        on
            sales_hours.site_id = conversion_hours.site_id
            and sales_hours.unit_id = conversion_hours.unit_id
            and sales_hours.hour_start_utc = conversion_hours.hour_start_utc
    where conversion_hours.is_matched

),

matched_days as (

    select
        site_id,
        unit_id,
        business_date,
        -- what one hour with tickets did not say is not known of the day
        case when count(return_count) >= sum(is_told) then coalesce(sum(return_count), 0) end
            as return_count,
        case when count(gross_sales) >= sum(is_told) then sum(gross_sales) end as gross_sales

    from matched_hours
    group by site_id, unit_id, business_date

),

joined as (

    select
        sales_days.unit_key,
        sales_days.site_id,
        sales_days.unit_id,
        sales_days.business_date,
        sales_days.ticket_count,
        sales_days.return_count,
        sales_days.gross_sales,
        sales_days.net_sales,
        sales_days.units,
        sales_days.currency,
        sales_days.tax_included,
        sales_days.amount_reason,
        sales_days.completeness,
        sales_days.is_provisional,
        sales_days.as_of_utc,
        -- units are net of returned ones, so they are those sold where none came back
        case when sales_days.return_count = 0 then sales_days.units end as sale_units,
        conversion_days.ticket_count as matched_ticket_count,
        conversion_days.net_entry_count,
        conversion_days.net_sales as matched_net_sales,
        case when conversion_days.net_sales is not null then matched_days.gross_sales end
            as matched_gross_sales,
        matched_days.return_count as matched_return_count,
        buying_units.buying_unit_count,
        conversion_days.completeness as conversion_completeness,
        conversion_days.basis as conversion_basis,
        conversion_days.reason as conversion_reason

    from sales_days
    inner join conversion_days
        on
            sales_days.site_id = conversion_days.site_id
            and sales_days.unit_id = conversion_days.unit_id
            and sales_days.business_date = conversion_days.business_date
    left join matched_days
        on
            sales_days.site_id = matched_days.site_id
            and sales_days.unit_id = matched_days.unit_id
            and sales_days.business_date = matched_days.business_date
    left join buying_units
        on
            sales_days.site_id = buying_units.site_id
            and sales_days.unit_id = buying_units.unit_id
            and sales_days.business_date = buying_units.business_date

),

-- one branch for each convention: amount, transactions, items and visitors by its rule
conventions as (

    {% for name, (amount, transactions, items, visitors) in conventions.items() %}
        select
            *,
            '{{ name }}' as convention,
            {{ amount }} as sales_amount,
            {{ transactions }} as transaction_count,
            {{ items }} as item_count,
            matched_{{ amount }} as matched_sales_amount,
            {{ transactions
                | replace('ticket_count', 'matched_ticket_count')
                | replace('return_count', 'matched_return_count') }}
                as matched_transaction_count,
            case when conversion_basis <> 'missing' then {{ visitors }} end as visitor_count

        from joined
        {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

-- fewer than no tickets divide nothing, and are no share of visitors
divided as (

    select
        *,
        case
            when transaction_count > 0 then {{ ratio('sales_amount', 'transaction_count') }}
        end as average_ticket_value,
        case
            when transaction_count > 0 then {{ ratio('item_count', 'transaction_count') }}
        end as units_per_ticket,
        case
            when matched_transaction_count >= 0
                then {{ ratio('matched_transaction_count', 'visitor_count') }}
        end as conversion_rate,
        {{ ratio('matched_sales_amount', 'visitor_count') }} as sales_per_visitor

    from conventions

),

final as (

    select
        unit_key,
        site_id,
        unit_id,
        business_date,
        convention,
        convention = '{{ ours }}' as is_headline,
        {{ as_money('sales_amount') }} as sales_amount,
        {{ as_bigint('transaction_count') }} as transaction_count,
        {{ as_bigint('item_count') }} as item_count,
        average_ticket_value,
        units_per_ticket,
        {{ as_bigint('matched_transaction_count') }} as matched_transaction_count,
        {{ as_money('matched_sales_amount') }} as matched_sales_amount,
        {{ as_bigint('visitor_count') }} as visitor_count,
        conversion_rate,
        sales_per_visitor,
        currency,
        tax_included,
        completeness as sales_completeness,
        conversion_completeness as completeness,
        case
            when visitor_count is null or matched_transaction_count is null then 'missing'
            when matched_transaction_count < 0 then 'missing'
            else conversion_basis
        end as basis,
        case
            when conversion_basis = 'missing' then conversion_reason
            when visitor_count is null then 'groups_not_counted'
            when matched_transaction_count is null then 'returns_not_told'
            when matched_transaction_count < 0 then 'no_net_tickets'
            else conversion_reason
        end as reason,
        case
            when average_ticket_value is not null then null
            when amount_reason is not null then amount_reason
            when ticket_count is null then 'tickets_by_category_only'
            when transaction_count is null then 'returns_not_told'
            when sales_amount is null then 'gross_not_told'
            when transaction_count <= 0 and transaction_count < ticket_count then 'no_net_tickets'
            when transaction_count = 0 then 'no_tickets'
        end as amount_reason,
        is_provisional,
        as_of_utc,
        'conventions.v1' as metric_version

    from divided

)

select * from final
