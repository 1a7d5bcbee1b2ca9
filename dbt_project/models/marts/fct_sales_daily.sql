-- Grain: one row per site, unit and business date.
-- Sums over every hour that the feed covered, closed ones included: what was sold was sold.

{{ config(
    pre_hook="{{ delete_affected(
        ['site_id', 'unit_id', 'business_date'], 'int_affected_unit_dates'
    ) }}"
) }}

{% set lacking = "('feed_has_no_amount', 'currencies_differ', 'tax_basis_differs')" %}
{% set amounts = ['gross_sales', 'returns_amount', 'net_sales'] %}

with

affected as (

    select * from {{ ref('int_affected_unit_dates') }}

),

hours as (

    select *

    from {{ ref('fct_sales_hourly') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'business_date']) }}

),

summed as (

    select
        unit_key,
        site_id,
        unit_id,
        business_date,
        sum(ticket_count) as ticket_count,
        {% for name in amounts + ['units', 'return_count'] %}
            sum({{ name }}) as {{ name }},
            -- what one hour did not say is not known of the day
            count({{ name }}) as {{ name }}_told,
        {% endfor %}
        sum(case when net_sales is not null or ticket_count > 0 then 1 else 0 end) as told_count,
        -- an hour that nobody covered has neither, and is told by completeness
        max(
            case
                when
                    ticket_count is null
                    and (net_sales is not null or amount_reason in {{ lacking }})
                    then 1
                else 0
            end
        ) as has_untold_tickets,
        {{ tally_money() }},
        -- an hour without tickets lacks no amount, and an hour not covered is told by completeness
        min(case when amount_reason in {{ lacking }} then amount_reason end) as lacking_reason,
        sum(case when is_open and ticket_count is not null then {{ microseconds('open_s') }} end)
            as known_us,
        sum(
            case
                when is_open and (net_sales is not null or amount_reason = 'no_tickets')
                    then {{ microseconds('open_s') }}
            end
        ) as amount_us,
        sum({{ microseconds('open_s') }}) as open_us,
        count(ticket_count) as known_hours,
        min(case when is_open and basis <> 'measured' then reason end) as missing_reason,
        max(case when is_open and is_provisional then 1 else 0 end) as is_provisional,
        max(as_of_utc) as as_of_utc

    from hours
    group by unit_key, site_id, unit_id, business_date

),

reasoned as (

    select
        *,
        {{ share('coalesce(known_us, 0)', 'open_us') }} as completeness,
        {{ share('coalesce(amount_us, 0)', 'open_us') }} as amount_completeness,
        -- 0 of the hours that told is not 0 of the day
        case when known_hours > 0 and (has_untold_tickets = 0 or ticket_count > 0) then 1 else 0 end
            as is_ticket_count_known,
        case
            when lacking_reason is not null then lacking_reason
            when amount_count = 0 and known_hours = 0 then coalesce(missing_reason, 'closed')
            when amount_count = 0 then 'no_tickets'
            {{ when_money_differs() }}
        end as no_amount_reason

    from summed

),

amounts as (

    select
        *,
        {% for name in amounts %}
            case
                when no_amount_reason is null and {{ name }}_told >= told_count
                    then {{ name }}
            end as known_{{ name }},
        {% endfor %}
        case when no_amount_reason is null and units_told >= told_count then units end
            as known_units,
        case when return_count_told >= told_count and told_count > 0 then return_count end
            as known_return_count,
        case when has_untold_tickets = 0 then ticket_count end as divided_ticket_count

    from reasoned

),

final as (

    select
        unit_key,
        site_id,
        unit_id,
        business_date,
        {{ as_bigint('case when is_ticket_count_known = 1 then ticket_count end') }}
            as ticket_count,
        {{ as_bigint('known_return_count') }} as return_count,
        {% for name in amounts %}
            {{ as_money('known_' ~ name) }} as {{ name }},
        {% endfor %}
        {{ as_bigint('known_units') }} as units,
        case when no_amount_reason is null then first_currency end as currency,
        case when no_amount_reason is null then {{ tallied_tax() }} end as tax_included,
        {{ ratio('known_net_sales', 'divided_ticket_count') }} as average_ticket_value,
        {{ ratio('known_units', 'divided_ticket_count') }} as units_per_ticket,
        completeness,
        amount_completeness,
        case
            when is_ticket_count_known = 0 then 'missing'
            when completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis,
        case
            when open_us = 0 then 'closed'
            when known_hours = 0 or completeness < {{ var('completeness_complete') }}
                then missing_reason
            when is_ticket_count_known = 0 then 'tickets_by_category_only'
        end as reason,
        no_amount_reason as amount_reason,
        is_provisional = 1 as is_provisional,
        as_of_utc,
        'sales.v1' as metric_version

    from amounts

)

select * from final
