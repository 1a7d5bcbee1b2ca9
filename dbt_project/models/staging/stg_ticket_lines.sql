-- Grain: one row per line of a revision of a ticket; every revision is kept.

with

source as (

    select * from {{ source('lake', 'ticket_lines') }}

),

final as (

    select
        connector_id,
        ext_ref_code,
        ticket_id,
        category,
        quantity,
        net,
        is_gift_card,
        {{ utc_timestamp('fetched_at_utc') }} as fetched_at_utc,
        raw_sha256,
        row_number

    from source

)

select * from final
