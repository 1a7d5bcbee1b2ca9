-- Grain: one row per connector, ext_ref_code and hour of tickets, whether it is linked or not.
-- Rows of every revision are counted; tickets and amounts are those of the newest answer.

with

ticket_hours as (

    select * from {{ ref('stg_ticket_hours') }}

),

current_hours as (

    select * from {{ ref('int_ticket_hours_current') }}

),

loaded as (

    select
        connector_id,
        ext_ref_code,
        hour_start_utc,
        count(*) as loaded_row_count

    from ticket_hours
    group by connector_id, ext_ref_code, hour_start_utc

),

sets as (

    select
        connector_id,
        ext_ref_code,
        hour_start_utc,
        count(*) as current_row_count,
        sum(case when category is null then 1 else 0 end) as total_row_count

    from current_hours
    group by connector_id, ext_ref_code, hour_start_utc

),

-- with a total, only the total; without one, all categories, whose tickets do not add up
counted as (

    select
        current_hours.*,
        sets.current_row_count

    from current_hours
    inner join sets
        on
            current_hours.connector_id = sets.connector_id
            and current_hours.ext_ref_code = sets.ext_ref_code
            and current_hours.hour_start_utc = sets.hour_start_utc
    where current_hours.category is null or sets.total_row_count = 0

),

summed as (

    select
        connector_id,
        ext_ref_code,
        hour_start_utc,
        max(current_row_count) as current_row_count,
        case when count(*) = 1 then max(num_tickets) end as ticket_count,
        case when count(net_sales) = count(*) then sum(net_sales) end as summed_net_sales,
        {{ tally_money('1 = 1') }},
        max(fetched_at_utc) as fetched_at_utc

    from counted
    group by connector_id, ext_ref_code, hour_start_utc

),

reasoned as (

    select
        *,
        case
            {{ when_money_differs() }}
            when summed_net_sales is null and coalesce(ticket_count, 1) > 0
                then 'feed_has_no_amount'
        end as amount_reason

    from summed

),

final as (

    select
        reasoned.connector_id,
        reasoned.ext_ref_code,
        reasoned.hour_start_utc,
        loaded.loaded_row_count,
        reasoned.current_row_count,
        reasoned.ticket_count,
        case when reasoned.amount_reason is null then reasoned.summed_net_sales end as net_sales,
        reasoned.first_currency as currency,
        {{ tallied_tax() }} as tax_included,
        reasoned.amount_reason,
        reasoned.fetched_at_utc

    from reasoned
    inner join loaded
        on
            reasoned.connector_id = loaded.connector_id
            and reasoned.ext_ref_code = loaded.ext_ref_code
            and reasoned.hour_start_utc = loaded.hour_start_utc

)

select * from final
