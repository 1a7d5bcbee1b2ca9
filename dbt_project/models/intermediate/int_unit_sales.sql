-- Grain: one row per site, unit and local hour with current ticket rows, over all linked codes.
-- An amount is known where every code with tickets sent one, in one currency and tax basis.

{% set amounts = ['gross_sales', 'returns_amount', 'net_sales'] %}

with

totals as (

    select * from {{ ref('int_unit_ticket_totals') }}

),

told as (

    -- an hour taken back (0 tickets, no amount) says nothing about amounts
    select
        *,
        net_sales is null and (num_tickets is null or num_tickets <> 0) as lacks_amount

    from totals

),

summed as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        case when count(num_tickets) = count(*) then sum(num_tickets) end as ticket_count,
        sum(num_returns) as return_count,
        {% for name in amounts %}
            sum({{ name }}) as {{ name }},
        {% endfor %}
        sum(units) as units,
        min(case when net_sales is not null then currency end) as first_currency,
        max(case when net_sales is not null then currency end) as last_currency,
        count(net_sales) as amount_count,
        count(case when net_sales is not null then currency end) as currency_count,
        sum(case when net_sales is not null and tax_included then 1 else 0 end) as taxed_count,
        sum(case when net_sales is not null and not tax_included then 1 else 0 end)
            as untaxed_count,
        max(case when lacks_amount then 1 else 0 end) as is_amount_lacking,
        max(fetched_at_utc) as as_of_utc

    from told
    group by site_id, unit_id, hour_start_utc

),

reasoned as (

    select
        *,
        case
            when is_amount_lacking = 1 then 'feed_has_no_amount'
            when amount_count = 0 then 'no_tickets'
            when currency_count not in (0, amount_count) or first_currency <> last_currency
                then 'currencies_differ'
            when taxed_count > 0 and taxed_count <> amount_count then 'tax_basis_differs'
            when untaxed_count > 0 and untaxed_count <> amount_count then 'tax_basis_differs'
        end as amount_reason

    from summed

),

final as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        ticket_count,
        return_count,
        {% for name in amounts %}
            case when amount_reason is null then {{ as_money(name) }} end as {{ name }},
        {% endfor %}
        case when amount_reason is null then units end as units,
        case when amount_reason is null then first_currency end as currency,
        case
            when amount_reason is not null then null
            when taxed_count > 0 then true
            when untaxed_count > 0 then false
        end as tax_included,
        amount_reason,
        as_of_utc

    from reasoned

)

select * from final
