{{ config(meta={'dagster': {'ref': {'name': 'fct_ticket_reconciliation_daily'}}}) }}
-- In = out + quarantined + unmatched: every row that was read is in one place, and only there.

with

days as (

    select * from {{ ref('fct_ticket_reconciliation_daily') }}

),

final as (

    select
        connector_id,
        ext_ref_code,
        day_utc,
        row_difference,
        ticket_difference

    from days
    where not is_reconciled

)

select * from final
