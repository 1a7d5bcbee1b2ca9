-- Grain: one row per connector, ext_ref_code and UTC day of tickets, and what became of them.
-- The sums of what was read and of what it became are taken apart, so that one can prove the other.

{% set fates = ['in_marts', 'unmatched', 'withheld', 'outside_calendar'] %}

with

code_hours as (

    select * from {{ ref('int_code_ticket_hours') }}

),

ticket_fates as (

    select * from {{ ref('int_code_ticket_fates') }}

),

read_days as (

    select
        connector_id,
        ext_ref_code,
        cast(hour_start_utc as date) as day_utc,
        sum(loaded_row_count) as loaded_row_count,
        sum(current_row_count) as current_row_count,
        sum(ticket_count) as ticket_count,
        sum(net_sales) as net_sales,
        {{ tally_money() }},
        min(amount_reason) as lacking_reason,
        max(fetched_at_utc) as as_of_utc

    from code_hours
    group by connector_id, ext_ref_code, cast(hour_start_utc as date)

),

reasoned_days as (

    select
        *,
        case
            {{ when_money_differs() }}
            when lacking_reason is not null then lacking_reason
            when amount_count = 0 then 'no_tickets'
        end as amount_reason

    from read_days

),

fate_days as (

    select
        connector_id,
        ext_ref_code,
        cast(hour_start_utc as date) as day_utc,
        {% for fate in fates %}
            sum(case when fate = '{{ fate }}' then current_row_count else 0 end)
                as {{ fate }}_row_count,
            coalesce(sum(case when fate = '{{ fate }}' then ticket_count end), 0)
                as {{ fate }}_ticket_count,
            coalesce(sum(case when amount_fate = '{{ fate }}' then net_sales end), 0)
                as {{ fate }}_net_sales,
        {% endfor %}
        coalesce(sum(case when fate = 'in_marts' and not is_open then ticket_count end), 0)
            as outside_opening_ticket_count,
        sum(other_feed_ticket_count) as other_feed_ticket_count,
        min(case when fate = 'withheld' then withheld_reason end) as withheld_reason,
        max(case when is_provisional then 1 else 0 end) as is_provisional

    from ticket_fates
    group by connector_id, ext_ref_code, cast(hour_start_utc as date)

),

final as (

    select
        reasoned_days.*,
        {% for fate in fates %}
            fate_days.{{ fate }}_row_count,
            fate_days.{{ fate }}_ticket_count,
            fate_days.{{ fate }}_net_sales,
        {% endfor %}
        fate_days.outside_opening_ticket_count,
        fate_days.other_feed_ticket_count,
        fate_days.withheld_reason,
        fate_days.is_provisional

    from reasoned_days
    inner join fate_days
        on
            reasoned_days.connector_id = fate_days.connector_id
            and reasoned_days.ext_ref_code = fate_days.ext_ref_code
            and reasoned_days.day_utc = fate_days.day_utc

)

select * from final
