-- Grain: one row per connector, ext_ref_code and UTC day of tickets; refused rows have the code ''.
-- A code that nobody linked has no unit whose hours could be affected: see stale_ticket_days.

{{ config(pre_hook="{{ delete_stale_ticket_days() }}") }}

{% set fates = ['in_marts', 'unmatched', 'withheld', 'outside_calendar'] %}

with

-- what stale_ticket_days compares the mart with
affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

arrivals as (

    select * from {{ ref('int_ticket_day_arrivals') }}

),

row_links as (

    select * from {{ ref('int_ticket_row_links') }}

),

code_hours as (

    select *

    from {{ ref('int_code_ticket_hours') }} as every_code_hour
    {{ where_between_stale('every_code_hour') }}

),

ticket_fates as (

    select *

    from {{ ref('int_code_ticket_fates') }} as every_fate
    {{ where_between_stale('every_fate') }}

),

refused as (

    select * from {{ ref('int_quarantine_days') }}

),

-- the sums of what was read and of what it became are taken apart, so that one can prove the other
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

ticket_days as (

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

),

days as (

    select
        connector_id,
        ext_ref_code,
        day_utc,
        loaded_row_count,
        current_row_count,
        0 as quarantined_row_count,
        {{ as_string('null') }} as quarantine_code,
        ticket_count,
        net_sales,
        {% for fate in fates %}
            {{ fate }}_row_count,
            {{ fate }}_ticket_count,
            {{ fate }}_net_sales,
        {% endfor %}
        outside_opening_ticket_count,
        other_feed_ticket_count,
        withheld_reason,
        case when amount_reason is null then first_currency end as currency,
        case when amount_reason is null then {{ tallied_tax() }} end as tax_included,
        amount_reason,
        is_provisional,
        as_of_utc

    from ticket_days
    union all
    select
        connector_id,
        ext_ref_code,
        day_utc,
        0 as loaded_row_count,
        0 as current_row_count,
        quarantined_row_count,
        quarantine_code,
        null as ticket_count,
        null as net_sales,
        {% for fate in fates %}
            0 as {{ fate }}_row_count,
            0 as {{ fate }}_ticket_count,
            0 as {{ fate }}_net_sales,
        {% endfor %}
        0 as outside_opening_ticket_count,
        null as other_feed_ticket_count,
        null as withheld_reason,
        null as currency,
        null as tax_included,
        quarantine_code as amount_reason,
        0 as is_provisional,
        null as as_of_utc

    from refused

),

compared as (

    select
        *,
        current_row_count
        - in_marts_row_count
        - unmatched_row_count
        - withheld_row_count
        - outside_calendar_row_count as row_difference,
        ticket_count
        - in_marts_ticket_count
        - unmatched_ticket_count
        - withheld_ticket_count
        - outside_calendar_ticket_count as ticket_difference,
        {{ share('in_marts_row_count', 'current_row_count + quarantined_row_count') }}
            as completeness

    from days
    {{ where_mart_lacks('days') }}

),

final as (

    select
        connector_id,
        ext_ref_code,
        day_utc,
        {{ as_bigint('loaded_row_count + quarantined_row_count') }} as row_count,
        {{ as_bigint('current_row_count') }} as current_row_count,
        {{ as_bigint('loaded_row_count - current_row_count') }} as superseded_row_count,
        {{ as_bigint('quarantined_row_count') }} as quarantined_row_count,
        {% for fate in fates %}
            {{ as_bigint(fate ~ '_row_count') }} as {{ fate }}_row_count,
        {% endfor %}
        {{ as_bigint('row_difference') }} as row_difference,
        {{ as_bigint('ticket_count') }} as ticket_count,
        {% for fate in fates %}
            {{ as_bigint(fate ~ '_ticket_count') }} as {{ fate }}_ticket_count,
        {% endfor %}
        {{ as_bigint('ticket_difference') }} as ticket_difference,
        {{ as_money('case when amount_reason is null then net_sales end') }} as net_sales,
        {% for fate in fates %}
            {{ as_money('case when amount_reason is null then ' ~ fate ~ '_net_sales end') }}
                as {{ fate }}_net_sales,
        {% endfor %}
        currency,
        tax_included,
        {{ as_bigint('outside_opening_ticket_count') }} as outside_opening_ticket_count,
        {{ ratio('outside_opening_ticket_count', 'in_marts_ticket_count') }}
            as outside_opening_rate,
        {{ as_bigint('other_feed_ticket_count') }} as other_feed_ticket_count,
        row_difference = 0 and coalesce(ticket_difference, 0) = 0 as is_reconciled,
        completeness,
        case
            when in_marts_row_count = 0 then 'missing'
            when completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis,
        case
            when row_difference <> 0 or ticket_difference <> 0 then 'not_reconciled'
            when quarantined_row_count > 0 then quarantine_code
            when unmatched_row_count > 0 then 'code_not_linked'
            when outside_calendar_row_count > 0 then 'outside_calendar'
            when withheld_row_count > 0 then withheld_reason
        end as reason,
        amount_reason,
        is_provisional = 1 as is_provisional,
        as_of_utc,
        'reconciliation.v1' as metric_version

    from compared

)

select * from final
