-- Grain: one row per site and local hour of the calendar.

with

source as (

    select * from {{ source('lake', 'site_hours') }}

),

final as (

    select
        site_id,
        {{ utc_timestamp('hour_start_utc') }} as hour_start_utc,
        {{ utc_timestamp('hour_from_utc') }} as hour_from_utc,
        {{ utc_timestamp('hour_end_utc') }} as hour_end_utc,
        {{ utc_timestamp('local_hour') }} as local_hour,
        utc_offset_s,
        business_date,
        open_s,
        is_hours_known

    from source

)

select * from final
