-- Grain: one row per site, unit, tenant and month that is over and in which it rented the unit.
-- Amounts are null where too little of the month is known for a comparison with others. Operator
-- and category are those of the tenant's last day in the month. Of a unit that tenants share, each
-- has its share of area, sales, entries and tickets; these add up to those of the unit. A table:
-- benchmark_suppression reads it, and what was decided has to be about the figures that are shown.

{{ config(materialized='table') }}

{% set shared = {
    'net_sales': 4, 'matched_net_sales': 4, 'net_entry_count': 0, 'ticket_count': 0
} %}
{% set to_here = "over (
            partition by site_id, unit_id, month_start
            order by tenant_id
            rows between unbounded preceding and current row
        )" %}
{% set before = to_here | replace('current row', '1 preceding') %}
{% set lacking = "('feed_has_no_amount', 'currencies_differ', 'tax_basis_differs')" %}

with

tenant_days as (

    select
        site_id,
        unit_id,
        tenant_id,
        business_date,
        month_start,
        unit_share,
        gla_cm2,
        first_value(operator_id) over (
            partition by site_id, unit_id, tenant_id, month_start order by business_date desc
        ) as operator_id,
        first_value(category) over (
            partition by site_id, unit_id, tenant_id, month_start order by business_date desc
        ) as category

    from {{ ref('int_tenant_days') }}

),

months as (

    select * from {{ ref('int_benchmark_months') }}

),

sales as (

    select * from {{ ref('fct_sales_daily') }}

),

conversion as (

    select * from {{ ref('fct_conversion_daily') }}

),

joined as (

    select
        tenant_days.site_id,
        tenant_days.unit_id,
        tenant_days.tenant_id,
        tenant_days.operator_id,
        tenant_days.category,
        tenant_days.month_start,
        tenant_days.unit_share,
        tenant_days.gla_cm2,
        {{ part_of('sales.net_sales', 'tenant_days.unit_share') }} as net_sales,
        sales.currency,
        sales.tax_included,
        sales.as_of_utc,
        {{ part_of('conversion.net_sales', 'tenant_days.unit_share') }}
            as matched_net_sales,
        conversion.net_entry_count * tenant_days.unit_share as net_entry_count,
        conversion.ticket_count * tenant_days.unit_share as ticket_count,
        conversion.matched_hours,
        conversion.open_hours,
        sales.is_provisional or conversion.is_provisional as is_provisional,
        case when sales.reason = 'closed' then 0 else 1 end as is_open_day,
        -- a day on which no ticket was written has no amount, and lacks none
        case
            when sales.net_sales is not null or sales.amount_reason = 'no_tickets'
                then sales.amount_completeness
        end as sales_completeness,
        case
            when sales.amount_reason <> 'no_tickets' then sales.amount_reason
        end as sales_reason,
        conversion.reason as traffic_reason,
        case when sales.amount_reason in {{ lacking }} then sales.amount_reason end
            as lacking_reason

    from tenant_days
    left join sales
        on
            tenant_days.site_id = sales.site_id
            and tenant_days.unit_id = sales.unit_id
            and tenant_days.business_date = sales.business_date
    left join conversion
        on
            tenant_days.site_id = conversion.site_id
            and tenant_days.unit_id = conversion.unit_id
            and tenant_days.business_date = conversion.business_date

),

summed as (

    select
        joined.site_id,
        joined.unit_id,
        joined.tenant_id,
        joined.operator_id,
        joined.category,
        joined.month_start,
        months.day_count,
        count(*) as tenant_day_count,
        sum(joined.gla_cm2) as area_cm2_days,
        count(joined.gla_cm2) as area_day_count,
        min(joined.unit_share) as least_share,
        sum(joined.net_sales) as net_sales,
        sum(joined.matched_net_sales) as matched_net_sales,
        sum(joined.net_entry_count) as net_entry_count,
        sum(joined.ticket_count) as ticket_count,
        min(joined.currency) as currency,
        count(distinct joined.currency) as currency_count,
        max(case when joined.tax_included then 1 else 0 end) as is_taxed,
        max(case when not joined.tax_included then 1 else 0 end) as is_untaxed,
        -- in millionths of a day: sums of doubles would depend on their order
        sum(
            {{ whole_number('coalesce(joined.sales_completeness, 0) * 1000000') }}
            * joined.is_open_day
        ) as known_millionths,
        sum(joined.is_open_day) as open_days,
        sum(joined.matched_hours) as matched_hours,
        sum(joined.open_hours) as open_hours,
        min(joined.lacking_reason) as lacking_reason,
        min(joined.sales_reason) as sales_reason,
        min(case when joined.traffic_reason <> 'closed' then joined.traffic_reason end)
            as traffic_reason,
        max(case when joined.is_provisional then 1 else 0 end) as is_provisional,
        max(joined.as_of_utc) as as_of_utc

    from joined
    inner join months
        on
            joined.site_id = months.site_id
            and joined.month_start = months.month_start
    where months.is_over
    group by
        joined.site_id,
        joined.unit_id,
        joined.tenant_id,
        joined.operator_id,
        joined.category,
        joined.month_start,
        months.day_count

),

-- Whole tickets and ten-thousandths of money: a tenant has what is rounded up to it less what is
-- rounded up to the one before, so that the parts add up to the unit in a fixed order. Amounts of
-- tenants who share nothing are whole already. The sum before is no difference of sums: on Spark
-- that would have a decimal less, and would be rounded twice.
rounded as (

    select
        *,
        {% for name, digits in shared.items() %}
            case
                when {{ name }} is not null
                    then
                        round(sum(coalesce({{ name }}, 0)) {{ to_here }}, {{ digits }})
                        - coalesce(
                            round(sum(coalesce({{ name }}, 0)) {{ before }}, {{ digits }}), 0
                        )
            end as {{ name }}_part{% if not loop.last %},{% endif %}
        {% endfor %}

    from summed

),

divided as (

    select
        *,
        -- three thirds of a day are a day: a millionth less would fall short of what is asked for
        {{ ratio(whole_number(ratio('known_millionths', 'open_days * 10')), '100000') }}
            as sales_completeness,
        {{ share('matched_hours', 'open_hours') }} as traffic_completeness,
        case
            when area_day_count = tenant_day_count
                then {{ ratio(square_metres('area_cm2_days'), 'day_count') }}
        end as gla_m2

    from rounded

),

reasoned as (

    select
        *,
        case
            when coalesce(gla_m2, 0) <= 0 then 'area_unknown'
            when lacking_reason is not null then lacking_reason
            when currency_count > 1 then 'currencies_differ'
            when is_taxed = 1 and is_untaxed = 1 then 'tax_basis_differs'
            when open_days = 0 then 'closed'
            when sales_completeness < {{ var('benchmark_completeness') }}
                then coalesce(sales_reason, 'feed_silent')
            when net_sales is null then 'no_tickets'
        end as no_sales_reason,
        case
            when coalesce(gla_m2, 0) <= 0 then 'area_unknown'
            when coalesce(open_hours, 0) = 0 then 'closed'
            when traffic_completeness < {{ var('benchmark_completeness') }}
                then coalesce(traffic_reason, 'camera_silent')
        end as no_traffic_reason

    from divided

),

final as (

    select
        site_id || '/' || unit_id as unit_key,
        site_id,
        unit_id,
        tenant_id,
        operator_id,
        category,
        month_start,
        least_share < 1 as is_unit_shared,
        gla_m2,
        case when no_sales_reason is null then {{ as_money('net_sales_part') }} end as net_sales,
        case when no_sales_reason is null then currency end as currency,
        case
            when no_sales_reason is not null then null
            when is_taxed = 1 then true
            when is_untaxed = 1 then false
        end as tax_included,
        case when no_traffic_reason is null then {{ as_bigint('net_entry_count_part') }} end
            as net_entry_count,
        case when no_traffic_reason is null then {{ as_bigint('ticket_count_part') }} end
            as ticket_count,
        case
            when no_sales_reason is null and no_traffic_reason is null
                then {{ as_money('matched_net_sales_part') }}
        end as matched_net_sales,
        sales_completeness,
        traffic_completeness,
        no_sales_reason,
        no_traffic_reason,
        is_provisional = 1 as is_provisional,
        as_of_utc

    from reasoned

)

select * from final
