-- Grain: one row per site, rate scope, unit and month that is over, with the rates of the month and
-- of the twelve months that end with it. Sums over sums; areas are area-days by days.

{% set window = "over (
            partition by site_id, rate_scope, unit_id
            order by month_start
            rows between 11 preceding and current row
        )" %}

with

scopes as (

    select
        *,
        -- a month that is known to be empty has neither, and differs from none
        case when coalesce(no_rate_reason, '') <> 'no_tickets' then coalesce(currency, '') end
            as currency_key,
        case
            when no_rate_reason = 'no_tickets' then null
            when tax_included then 1
            when not tax_included then 0
            else -1
        end as tax_key,
        {{ months_between("cast('1996-01-01' as date)", 'month_start') }} as month_number,
        {{ days_of_month('month_start') }} as month_days

    from {{ ref('int_density_scopes') }}

),

windowed as (

    select
        *,
        {{ share('known_us', 'open_us') }} as completeness,
        {{ ratio(square_metres('gla_cm2_days'), 'day_count') }} as gla_m2,
        {{ ratio(square_metres('selling_cm2_days'), 'day_count') }} as selling_m2,
        case when no_rate_reason is null then {{ as_money('net_sales') }} end as known_net_sales,
        sum(net_sales) {{ window }} as mat_net_sales,
        sum(gla_cm2_days) {{ window }} as mat_gla_cm2_days,
        sum(day_count) {{ window }} as mat_days,
        sum(known_us) {{ window }} as mat_known_us,
        sum(open_us) {{ window }} as mat_open_us,
        sum(
            case
                when
                    coalesce(no_rate_reason, 'no_tickets') = 'no_tickets'
                    and day_count = month_days
                    then 1
                else 0
            end
        ) {{ window }} as mat_months,
        sum(case when no_rate_reason is null then 1 else 0 end) {{ window }} as mat_sold_months,
        month_number - min(month_number) {{ window }} as mat_span,
        min(currency_key) {{ window }} as mat_first_currency,
        max(currency_key) {{ window }} as mat_last_currency,
        min(tax_key) {{ window }} as mat_first_tax,
        max(tax_key) {{ window }} as mat_last_tax

    from scopes

),

judged as (

    select
        *,
        {{ ratio('known_net_sales', 'gla_m2') }} as net_sales_per_gla_m2,
        {{ ratio('known_net_sales', 'selling_m2') }} as net_sales_per_selling_m2,
        {{ share('mat_known_us', 'mat_open_us') }} as mat_share,
        case
            when mat_months < 12 or mat_span <> 11 then 'months_missing'
            when mat_sold_months = 0 then 'no_tickets'
            when mat_first_currency <> mat_last_currency then 'currencies_differ'
            when mat_first_tax <> mat_last_tax then 'tax_basis_differs'
        end as no_mat_reason

    from windowed

),

final as (

    select
        site_id,
        rate_scope,
        unit_id,
        month_start,
        day_count,
        unit_count,
        left_out_count,
        known_net_sales as net_sales,
        currency,
        tax_included,
        gla_m2,
        selling_m2,
        net_sales_per_gla_m2,
        net_sales_per_selling_m2,
        case
            when is_hours_known = 1
                then
                    {{ ratio('known_net_sales', ratio(square_metres('gla_cm2_s'), '3600')) }}
        end as net_sales_per_gla_m2_trading_hour,
        {{ ratio('net_sales_per_gla_m2 * 365', 'day_count * completeness') }}
            as annualised_net_sales_per_gla_m2,
        {{ ratio('net_sales_per_selling_m2 * 365', 'day_count * completeness') }}
            as annualised_net_sales_per_selling_m2,
        case when no_mat_reason is null then {{ as_money('mat_net_sales') }} end as mat_net_sales,
        case
            when no_mat_reason is null
                then {{ ratio(square_metres('mat_gla_cm2_days'), 'mat_days') }}
        end as mat_gla_m2,
        case when no_mat_reason is null then mat_share end as mat_completeness,
        case
            when no_mat_reason is not null then 'missing'
            when mat_share >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as mat_basis,
        case
            when no_mat_reason is not null then no_mat_reason
            when mat_share is null then 'closed'
            when mat_share < {{ var('completeness_complete') }} then 'month_in_part'
        end as mat_reason,
        completeness,
        case
            when no_rate_reason is not null then 'missing'
            when completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis,
        case
            when no_rate_reason is not null then no_rate_reason
            when completeness is null then 'closed'
            when completeness < {{ var('completeness_complete') }} then 'month_in_part'
        end as reason,
        is_provisional = 1 as is_provisional,
        as_of_utc

    from judged

)

select * from final
