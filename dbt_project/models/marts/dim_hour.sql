-- Grain: one row per site and local hour of the calendar.
-- Where opening hours are not known the whole hour counts as open.

{{ config(pre_hook="{{ delete_affected(['site_id', 'hour_start_utc']) }}") }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

site_hours as (

    select *

    from {{ ref('int_site_hours') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'hour_start_utc']) }}

),

final as (

    select
        site_id || '/' || {{ as_string(seconds_since_1970('hour_start_utc')) }} as hour_key,
        site_id,
        hour_start_utc,
        hour_end_utc,
        local_hour,
        utc_offset_s,
        {{ as_bigint('extract(hour from local_hour)') }} as hour_of_day,
        business_date,
        {{ iso_weekday('business_date') }} as day_of_week,
        {{ month_of('business_date') }} as month_start,
        is_open,
        is_hours_known,
        {{ seconds('open_us') }} as open_s,
        {{ seconds('hour_us') }} as hour_s

    from site_hours

)

select * from final
