-- Grain: one row per site, unit and business date.
-- Sums over the matched open hours only, then one division: never a mean of hourly rates.

{{ config(
    pre_hook="{{ delete_affected(
        ['site_id', 'unit_id', 'business_date'], 'int_affected_unit_dates'
    ) }}"
) }}

with

affected as (

    select * from {{ ref('int_affected_unit_dates') }}

),

hours as (

    select *

    from {{ ref('fct_conversion_hourly') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'business_date']) }}

),

summed as (

    select
        unit_key,
        site_id,
        unit_id,
        business_date,
        sum(case when is_matched then ticket_count end) as ticket_count,
        sum(case when is_matched then entry_count end) as entry_count,
        sum(case when is_matched then net_entry_count end) as net_entry_count,
        sum(case when is_matched then net_sales end) as net_sales,
        -- hours without tickets have no amount and lack none
        min(case when is_matched and amount_reason <> 'no_tickets' then amount_reason end)
            as lacking_reason,
        {{ tally_money('is_matched and net_sales is not null') }},
        sum(case when is_matched then 1 else 0 end) as matched_hours,
        sum(case when is_open then 1 else 0 end) as open_hours,
        sum(case when is_matched then {{ microseconds('open_s') }} else 0 end) as matched_us,
        sum({{ microseconds('open_s') }}) as open_us,
        min(case when is_open and not is_matched then reason end) as unmatched_reason,
        max(case when is_open and is_provisional then 1 else 0 end) as is_provisional,
        min(case when metric_version = 'conversion.net.v1' then 1 else 0 end) as is_net,
        max(case when is_matched then as_of_utc end) as as_of_utc

    from hours
    group by unit_key, site_id, unit_id, business_date

),

reasoned as (

    select
        *,
        case
            when matched_hours = 0 then unmatched_reason
            when lacking_reason is not null then lacking_reason
            when net_sales is null then 'no_tickets'
            {{ when_money_differs() }}
        end as amount_reason

    from summed

),

divided as (

    select
        *,
        case when amount_reason is null then net_sales end as known_net_sales,
        {{ share('matched_us', 'open_us') }} as completeness,
        {{ ratio('ticket_count', 'net_entry_count') }} as conversion_rate,
        {{ ratio('ticket_count', 'entry_count') }} as conversion_rate_gross

    from reasoned

),

final as (

    select
        unit_key,
        site_id,
        unit_id,
        business_date,
        {{ as_bigint('ticket_count') }} as ticket_count,
        {{ as_bigint('entry_count') }} as entry_count,
        {{ as_bigint('net_entry_count') }} as net_entry_count,
        conversion_rate,
        conversion_rate_gross,
        conversion_rate > 1 as is_over_100,
        {{ as_money('known_net_sales') }} as net_sales,
        case when amount_reason is null then first_currency end as currency,
        case when amount_reason is null then {{ tallied_tax() }} end as tax_included,
        {{ ratio('known_net_sales', 'net_entry_count') }} as sales_per_visitor,
        {{ as_bigint('matched_hours') }} as matched_hours,
        {{ as_bigint('open_hours') }} as open_hours,
        completeness,
        case
            when matched_hours = 0 then 'missing'
            when completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis,
        case
            when open_hours = 0 then 'closed'
            when matched_hours = 0 or completeness < {{ var('completeness_complete') }}
                then unmatched_reason
            when net_entry_count = 0 then 'no_entries'
        end as reason,
        case when open_hours > 0 then amount_reason else 'closed' end as amount_reason,
        is_provisional = 1 as is_provisional,
        as_of_utc,
        case
            when is_net = 1 then 'conversion.net.v1'
            else 'conversion.gross.v1'
        end as metric_version

    from divided

)

select * from final
