-- Grain: one row per site, zone, unit and local hour in which the zone is valid.
-- Zones of the common area (unit_id _common) are included. In a staffed zone customers are served.

with

site_hours as (

    select * from {{ ref('int_site_hours') }}

),

zones as (

    select * from {{ ref('stg_space_zone') }}

),

final as (

    select distinct
        zones.site_id || '/' || zones.unit_id as unit_key,
        zones.site_id || '/' || zones.unit_id || '/' || zones.zone_id as zone_key,
        site_hours.site_id,
        zones.zone_id,
        zones.unit_id,
        zones.role,
        zones.area_m2,
        zones.role in ('selling', 'display', 'fitting', 'service') as is_staffed,
        site_hours.hour_start_utc,
        site_hours.local_hour,
        site_hours.utc_offset_s,
        site_hours.business_date,
        site_hours.is_open,
        site_hours.open_us

    from site_hours
    inner join zones
        on
            site_hours.site_id = zones.site_id
            and {{ valid_at('zones', 'site_hours.hour_start_utc') }}

)

select * from final
