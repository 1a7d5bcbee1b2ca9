-- Grain: one row per connector, ext_ref_code and UTC day of tickets, and what came of it so far.
-- Cheap to ask of every day, so that fct_ticket_reconciliation_daily knows which of its rows hold.

with

ticket_hours as (

    select * from {{ ref('stg_ticket_hours') }}

),

refused as (

    select * from {{ ref('int_quarantine_days') }}

),

loaded as (

    select
        connector_id,
        ext_ref_code,
        cast(hour_start_utc as date) as day_utc,
        count(*) as row_count,
        max(fetched_at_utc) as as_of_utc,
        {{ as_string('null') }} as quarantine_code

    from ticket_hours
    group by connector_id, ext_ref_code, cast(hour_start_utc as date)

),

final as (

    select * from loaded
    union all
    select
        connector_id,
        ext_ref_code,
        day_utc,
        quarantined_row_count as row_count,
        null as as_of_utc,
        quarantine_code

    from refused

)

select * from final
