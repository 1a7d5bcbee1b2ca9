-- Grain: one row per site.

with

sites as (

    select * from {{ ref('stg_space_site') }}

),

site_hours as (

    select * from {{ ref('stg_site_hours') }}

),

last_hours as (

    select
        site_id,
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
        last_hours.last_hour_start_utc

    from sites
    left join last_hours on sites.site_id = last_hours.site_id

)

select * from final
