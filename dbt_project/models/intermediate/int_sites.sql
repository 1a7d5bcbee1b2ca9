-- Grain: one row per site.

with

sites as (

    select * from {{ ref('stg_space_site') }}

),

site_hours as (

    select * from {{ ref('stg_site_hours') }}

),

calendars as (

    select
        site_id,
        min(hour_start_utc) as first_hour_start_utc,
        max(hour_start_utc) as last_hour_start_utc

    from site_hours
    group by site_id

),

final as (

    select
        sites.site_id,
        sites.name as site_name,
        sites.timezone,
        sites.currency,
        sites.business_day_start,
        calendars.first_hour_start_utc,
        calendars.last_hour_start_utc

    from sites
    left join calendars on sites.site_id = calendars.site_id

)

select * from final
