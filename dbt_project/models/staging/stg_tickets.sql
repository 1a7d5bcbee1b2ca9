-- Grain: one row per revision of a ticket; every revision is kept.

with

source as (

    select * from {{ source('lake', 'tickets') }}

),

final as (

    select
        connector_id,
        ext_ref_code,
        ticket_id,
        {{ utc_timestamp('hour_start_utc') }} as hour_start_utc,
        kind,
        currency,
        tax_included,
        net,
        {{ utc_timestamp('fetched_at_utc') }} as fetched_at_utc,
        raw_sha256

    from source

)

select * from final
