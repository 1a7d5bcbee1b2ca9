-- Grain: one row per open piece of a site's local hour.

with

source as (

    select * from {{ source('lake', 'site_open_spans') }}

),

final as (

    select
        site_id,
        {{ utc_timestamp('hour_start_utc') }} as hour_start_utc,
        {{ utc_timestamp('open_from_utc') }} as open_from_utc,
        {{ utc_timestamp('open_to_utc') }} as open_to_utc

    from source

)

select * from final
