-- Grain: one row per site and local hour of the calendar.
-- Where opening hours are not known the whole hour counts as open.

with

site_hours as (

    select * from {{ ref('stg_site_hours') }}

),

measured as (

    select
        site_id,
        hour_start_utc,
        hour_from_utc,
        hour_end_utc,
        local_hour,
        utc_offset_s,
        business_date,
        is_hours_known,
        {{ microseconds_between('hour_from_utc', 'hour_end_utc') }} as hour_us,
        {{ microseconds('open_s') }} as known_open_us

    from site_hours

),

final as (

    select
        site_id,
        hour_start_utc,
        hour_from_utc,
        hour_end_utc,
        local_hour,
        utc_offset_s,
        business_date,
        is_hours_known,
        hour_us,
        case when is_hours_known then known_open_us else hour_us end as open_us,
        not is_hours_known or known_open_us > 0 as is_open

    from measured

)

select * from final
