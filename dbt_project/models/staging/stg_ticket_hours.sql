-- Grain: one row per revision, ext_ref_code, hour and category; every revision is kept.

with

source as (

    select * from {{ source('lake', 'ticket_hours') }}

),

final as (

    select
        connector_id,
        ext_ref_code,
        {{ utc_timestamp('hour_start_utc') }} as hour_start_utc,
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
        {{ utc_timestamp('fetched_at_utc') }} as fetched_at_utc,
        raw_sha256,
        row_number

    from source

)

select * from final
