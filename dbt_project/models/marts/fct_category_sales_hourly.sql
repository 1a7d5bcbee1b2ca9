-- Grain: one row per site, unit, local hour and category, with a row _uncategorised in every hour.
-- That row has what the hour's total holds beyond its categories, so that net sales over all rows
-- of an hour add up to it. Tickets do not: one may hold several categories.

{{ config(pre_hook="{{ delete_affected(['site_id', 'unit_id', 'hour_start_utc']) }}") }}

{% set amounts = ['gross_sales', 'returns_amount', 'net_sales', 'units'] %}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

sales as (

    select *

    from {{ ref('fct_sales_hourly') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

categories as (

    select *

    from {{ ref('int_unit_category_sales') }} as every_category
    {{ where_affected('every_category', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

uncategorised as (

    select *

    from {{ ref('int_unit_uncategorised') }} as every_rest
    {{ where_affected('every_rest', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

untold as (

    select distinct
        site_id,
        unit_id,
        hour_start_utc

    from categories
    where net_sales is null

),

-- the newest answer that an hour used is null where it had no tickets, or was not covered
hours as (

    select
        sales.*,
        uncategorised.ticket_count as rest_ticket_count,
        uncategorised.return_count as rest_return_count,
        uncategorised.money_reason,
        sales.as_of_utc is not null as has_tickets,
        -- a ticket may name other categories and leave the hour's total as it was
        case when sales.as_of_utc is not null then uncategorised.as_of_utc end
            as newest_utc,
        case
            when sales.as_of_utc is null then null
            when uncategorised.money_reason is not null then uncategorised.money_reason
            when uncategorised.bare_count > 0 then 'feed_has_no_category'
            when untold.site_id is not null and sales.net_sales is not null
                then 'category_has_no_amount'
        end as category_reason

    from sales
    left join uncategorised
        on
            sales.site_id = uncategorised.site_id
            and sales.unit_id = uncategorised.unit_id
            and sales.hour_start_utc = uncategorised.hour_start_utc
    left join untold
        on
            sales.site_id = untold.site_id
            and sales.unit_id = untold.unit_id
            and sales.hour_start_utc = untold.hour_start_utc

),

named as (

    select
        categories.site_id,
        categories.unit_id,
        categories.hour_start_utc,
        categories.category,
        {% for name in amounts %}
            case
                when
                    hours.net_sales is not null
                    and hours.money_reason is null
                    and categories.net_sales is not null
                    then categories.{{ name }}
            end as {{ name }},
        {% endfor %}
        categories.ticket_count,
        categories.return_count

    from categories
    inner join hours
        on
            categories.site_id = hours.site_id
            and categories.unit_id = hours.unit_id
            and categories.hour_start_utc = hours.hour_start_utc
    where hours.has_tickets

),

named_sums as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        {% for name in amounts %}
            sum({{ name }}) as {{ name }},
            count({{ name }}) as {{ name }}_told,
        {% endfor %}
        count(*) as category_count

    from named
    group by site_id, unit_id, hour_start_utc

),

rest as (

    select
        hours.site_id,
        hours.unit_id,
        hours.hour_start_utc,
        {{ uncategorised() }} as category,
        -- holds the net sales of categories that told none, so that the rows add up to the total
        hours.net_sales - coalesce(named_sums.net_sales, 0) as net_sales,
        {% for name in ['gross_sales', 'returns_amount', 'units'] %}
            case
                when
                    hours.money_reason is not null
                    or named_sums.category_count is null
                    or named_sums.{{ name }}_told = named_sums.category_count
                    then hours.{{ name }} - coalesce(named_sums.{{ name }}, 0)
            end as {{ name }},
        {% endfor %}
        case when hours.has_tickets then hours.rest_ticket_count else hours.ticket_count end
            as ticket_count,
        case when hours.has_tickets then hours.rest_return_count else hours.return_count end
            as return_count

    from hours
    left join named_sums
        on
            hours.site_id = named_sums.site_id
            and hours.unit_id = named_sums.unit_id
            and hours.hour_start_utc = named_sums.hour_start_utc

),

figures as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        category,
        {% for name in amounts %}
            {{ name }},
        {% endfor %}
        ticket_count,
        return_count

    from named
    union all
    select
        site_id,
        unit_id,
        hour_start_utc,
        category,
        {% for name in amounts %}
            {{ name }},
        {% endfor %}
        ticket_count,
        return_count

    from rest

),

joined as (

    select
        figures.*,
        hours.unit_key,
        hours.local_hour,
        hours.utc_offset_s,
        hours.business_date,
        hours.is_open,
        hours.currency,
        hours.tax_included,
        hours.category_reason,
        hours.completeness,
        case
            when hours.ticket_count is null and not hours.has_tickets then 'missing'
            when hours.completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis,
        hours.reason,
        coalesce(hours.amount_reason, hours.money_reason, 'feed_has_no_amount') as amount_reason,
        hours.is_provisional,
        hours.newest_utc as as_of_utc

    from figures
    inner join hours
        on
            figures.site_id = hours.site_id
            and figures.unit_id = hours.unit_id
            and figures.hour_start_utc = hours.hour_start_utc

),

final as (

    select
        site_id || '/' || category as category_key,
        unit_key,
        site_id,
        unit_id,
        category,
        hour_start_utc,
        local_hour,
        utc_offset_s,
        business_date,
        is_open,
        {{ as_bigint('ticket_count') }} as ticket_count,
        {{ as_bigint('return_count') }} as return_count,
        {{ as_money('gross_sales') }} as gross_sales,
        {{ as_money('returns_amount') }} as returns_amount,
        {{ as_money('net_sales') }} as net_sales,
        {{ as_bigint('units') }} as units,
        case when net_sales is not null then currency end as currency,
        case when net_sales is not null then tax_included end as tax_included,
        -- the amount of a category that told none is not of the tickets of no category
        case
            when
                category <> {{ uncategorised() }}
                or coalesce(category_reason, '') <> 'category_has_no_amount'
                then {{ ratio('net_sales', 'ticket_count') }}
        end as net_sales_per_ticket,
        {{ ratio('units', 'ticket_count') }} as units_per_ticket,
        category_reason,
        completeness,
        basis,
        case when basis <> 'measured' then reason end as reason,
        case when net_sales is null then amount_reason end as amount_reason,
        is_provisional,
        as_of_utc,
        'category_sales.v1' as metric_version

    from joined

)

select * from final
