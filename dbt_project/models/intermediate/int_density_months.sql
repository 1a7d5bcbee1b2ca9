-- Grain: one row per site, unit and month that is over: what the rates of the month are divided of.
-- Days on which a tenant rents the unit are apart from vacant ones. no_rate_reason is why the unit
-- is in no rate of the tenants; with no_tickets it is, and sold nothing.

{% set lacking = "('feed_has_no_amount', 'currencies_differ', 'tax_basis_differs')" %}

with

days as (

    select
        *,
        {{ month_of('business_date') }} as month_start,
        {{ square_centimetres('gla_m2') }} as gla_cm2,
        {{ square_centimetres('selling_m2') }} as selling_cm2,
        case when tenancy_count > 0 then 1 else 0 end as is_let

    from {{ ref('fct_sales_density_daily') }}

),

months as (

    select * from {{ ref('int_benchmark_months') }}

),

summed as (

    select
        days.unit_key,
        days.site_id,
        days.unit_id,
        days.month_start,
        months.day_count,
        sum(days.is_let) as let_days,
        count(case when days.is_let = 1 then days.gla_cm2 end) as let_days_with_gla,
        count(case when days.is_let = 1 then days.selling_cm2 end) as let_days_with_selling,
        sum(case when days.is_let = 1 then days.gla_cm2 end) as gla_cm2_days,
        sum(case when days.is_let = 1 then days.selling_cm2 end) as selling_cm2_days,
        sum(
            case
                when days.is_let = 1
                    then days.gla_cm2 * {{ whole_number('days.known_open_s') }}
            end
        ) as gla_cm2_s,
        min(case when days.is_hours_known then 1 else 0 end) as is_hours_known,
        sum(1 - days.is_let) as vacant_days,
        count(case when days.is_let = 0 then days.gla_cm2 end) as vacant_days_with_gla,
        sum(case when days.is_let = 0 then days.gla_cm2 end) as vacant_gla_cm2_days,
        sum(case when days.is_let = 1 then days.net_sales end) as net_sales,
        {{ tally_money('days.is_let = 1 and days.net_sales is not null') }},
        sum(case when days.is_let = 1 then {{ microseconds('days.known_open_s') }} else 0 end)
            as known_us,
        sum(case when days.is_let = 1 then {{ microseconds('days.open_s') }} else 0 end)
            as open_us,
        min(case when days.is_let = 1 and days.reason in {{ lacking }} then days.reason end)
            as lacking_reason,
        min(
            case
                when days.is_let = 1 and days.reason not in ('closed', 'no_tickets')
                    then days.reason
            end
        ) as missing_reason,
        max(case when days.is_let = 1 and days.is_provisional then 1 else 0 end)
            as is_provisional,
        max(case when days.is_let = 1 then days.as_of_utc end) as as_of_utc

    from days
    inner join months
        on
            days.site_id = months.site_id
            and days.month_start = months.month_start
    where months.is_over
    group by
        days.unit_key, days.site_id, days.unit_id, days.month_start, months.day_count

),

final as (

    select
        *,
        case when let_days_with_gla = let_days then gla_cm2_days end as known_gla_cm2_days,
        case when let_days_with_selling = let_days then selling_cm2_days end
            as known_selling_cm2_days,
        case
            when unit_id = '_common' then 'common_area'
            when let_days = 0 then 'vacant'
            when let_days_with_gla < let_days or gla_cm2_days <= 0 then 'area_unknown'
            when lacking_reason is not null then lacking_reason
            {{ when_money_differs() }}
            when open_us = 0 and net_sales is null then 'closed'
            when {{ share('known_us', 'open_us') }} < {{ var('benchmark_completeness') }}
                then coalesce(missing_reason, 'feed_silent')
            when net_sales is null then 'no_tickets'
        end as no_rate_reason

    from summed

)

select * from final
