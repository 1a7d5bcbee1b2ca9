-- Grain: one row per connector, ext_ref_code, hour and category of the newest answer for that hour.
-- The unit of revision is the whole set of rows of one answer: a category that the newest answer
-- left out is gone.

with

ticket_hours as (

    select * from {{ ref('stg_ticket_hours') }}

),

ranked as (

    select
        *,
        rank() over (
            partition by connector_id, ext_ref_code, hour_start_utc
            order by fetched_at_utc desc, raw_sha256 desc
        ) as revision_rank

    from ticket_hours

),

final as (

    select
        connector_id,
        ext_ref_code,
        hour_start_utc,
        utc_offset_s,
        num_tickets,
        category,
        num_returns,
        gross_sales,
        returns_amount,
        net_sales,
        units,
        currency,
        tax_included,
        fetched_at_utc,
        raw_sha256,
        row_number

    from ranked
    where revision_rank = 1

)

select * from final
