-- Grain: one row per site, unit and local hour of the calendar, whether anything happened or not.
-- The common area is no unit: nobody converts there.

with

site_hours as (

    select * from {{ ref('int_site_hours') }}

),

units as (

    select * from {{ ref('stg_space_unit') }}

),

final as (

    select
        units.site_id || '/' || units.unit_id as unit_key,
        site_hours.site_id,
        units.unit_id,
        site_hours.hour_start_utc,
        site_hours.hour_from_utc,
        site_hours.hour_end_utc,
        site_hours.local_hour,
        site_hours.utc_offset_s,
        site_hours.business_date,
        site_hours.is_hours_known,
        site_hours.is_open,
        site_hours.open_us,
        site_hours.hour_us

    from site_hours
    inner join units on site_hours.site_id = units.site_id
    where units.unit_id <> '_common'

)

select * from final
