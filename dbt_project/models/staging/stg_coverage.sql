-- Grain: one row per source and span that was, or should have been, observed.

with

source as (

    select * from {{ source('lake', 'coverage') }}

),

final as (

    select
        site_id,
        source_kind,
        source_id,
        key as source_key,
        {{ utc_timestamp('from_utc') }} as from_utc,
        {{ utc_timestamp('to_utc') }} as to_utc,
        status,
        reason,
        observed_s,
        expected_s,
        {{ utc_timestamp('fetched_at_utc') }} as fetched_at_utc

    from source

)

select * from final
