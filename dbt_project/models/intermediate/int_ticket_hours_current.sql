-- Grain: one row per connector, ext_ref_code, hour and category of the newest answer for that hour.
-- The unit of revision is the whole set of rows of one answer: a category that the newest answer
-- left out is gone. has_total: the answer has a row without category, the hour's total.

with

ticket_hours as (

    select * from {{ ref('stg_ticket_hours') }}

),

-- an answer has many rows of an hour: engines rank fewer answers than rows
answers as (

    select
        connector_id,
        ext_ref_code,
        hour_start_utc,
        fetched_at_utc,
        raw_sha256,
        max(case when category is null then 1 else 0 end) as has_total

    from ticket_hours
    group by connector_id, ext_ref_code, hour_start_utc, fetched_at_utc, raw_sha256

),

ranked as (

    select
        *,
        row_number() over (
            partition by connector_id, ext_ref_code, hour_start_utc
            order by fetched_at_utc desc, raw_sha256 desc
        ) as revision_rank

    from answers

),

final as (

    select
        ticket_hours.connector_id,
        ticket_hours.ext_ref_code,
        ticket_hours.hour_start_utc,
        ticket_hours.utc_offset_s,
        ticket_hours.num_tickets,
        ticket_hours.category,
        ticket_hours.num_returns,
        ticket_hours.gross_sales,
        ticket_hours.returns_amount,
        ticket_hours.net_sales,
        ticket_hours.units,
        ticket_hours.currency,
        ticket_hours.tax_included,
        ticket_hours.fetched_at_utc,
        ticket_hours.raw_sha256,
        ticket_hours.row_number,
        ranked.has_total = 1 as has_total

    from ticket_hours
    inner join ranked
        on
            ticket_hours.connector_id = ranked.connector_id
            and ticket_hours.ext_ref_code = ranked.ext_ref_code
            and ticket_hours.hour_start_utc = ranked.hour_start_utc
            and ticket_hours.fetched_at_utc = ranked.fetched_at_utc
            and ticket_hours.raw_sha256 = ranked.raw_sha256
    where ranked.revision_rank = 1

)

select * from final
