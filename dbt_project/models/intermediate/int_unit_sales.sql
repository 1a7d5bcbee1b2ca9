-- Grain: one row per site, unit and local hour with current ticket rows, over all linked codes.
-- An amount is known where every code with tickets sent one, in one currency and tax basis.

{% set amounts = ['gross_sales', 'returns_amount', 'net_sales'] %}

with

totals as (

    select * from {{ ref('int_unit_ticket_totals') }}

),

told as (

    -- an hour taken back (0 tickets, nothing else) says nothing about amounts
    select
        *,
        coalesce(num_tickets, 1) = 0
        and coalesce(num_returns, 0) = 0
        and net_sales is null
        and amount_reason is null as is_taken_back

    from totals

),

summed as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        case when count(num_tickets) = count(*) then sum(num_tickets) end as ticket_count,
        sum(num_returns) as return_count,
        {% for name in amounts + ['units'] %}
            sum({{ name }}) as {{ name }},
        {% endfor %}
        {% for name in ['num_returns', 'gross_sales', 'returns_amount', 'units'] %}
            -- what one code did not say is not known of all
            count({{ name }}) as {{ name }}_told,
        {% endfor %}
        sum(case when is_taken_back then 0 else 1 end) as told_count,
        min(amount_reason) as code_reason,
        {{ tally_money() }},
        max(fetched_at_utc) as as_of_utc

    from told
    group by site_id, unit_id, hour_start_utc

),

reasoned as (

    select
        *,
        case
            when code_reason is not null then code_reason
            when told_count = 0 then 'no_tickets'
            when amount_count < told_count then 'feed_has_no_amount'
            {{ when_money_differs() }}
        end as amount_reason

    from summed

),

final as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        ticket_count,
        case when num_returns_told >= told_count and told_count > 0 then return_count end
            as return_count,
        {% for name in ['gross_sales', 'returns_amount'] %}
            case
                when amount_reason is null and {{ name }}_told >= told_count
                    then {{ as_money(name) }}
            end as {{ name }},
        {% endfor %}
        case when amount_reason is null then {{ as_money('net_sales') }} end as net_sales,
        case when amount_reason is null and units_told >= told_count then units end as units,
        case when amount_reason is null then first_currency end as currency,
        case when amount_reason is null then {{ tallied_tax() }} end as tax_included,
        amount_reason,
        as_of_utc

    from reasoned

)

select * from final
