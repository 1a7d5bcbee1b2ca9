-- Grain: one row per row or answer that could not be used, and per notice of an unknown code.

with

source as (

    select * from {{ source('lake', 'quarantine') }}

),

final as (

    select
        source as source_name,
        code,
        raw_sha256,
        row_number,
        {{ utc_timestamp('first_seen_utc') }} as first_seen_utc

    from source

)

select * from final
