-- Grain: one row per site, unit and zone, whether it still holds or not.
-- The version shown is the one of the last hour of the site's calendar, else its last.

with

zones as (

    select * from {{ ref('stg_space_zone') }}

),

sites as (

    select * from {{ ref('int_sites') }}

),

ranked as (

    select
        zones.*,
        coalesce({{ valid_at('zones', 'sites.last_hour_start_utc') }}, false) as is_current,
        row_number() over (
            partition by zones.site_id, zones.unit_id, zones.zone_id
            order by {{ version_order('zones', 'sites.last_hour_start_utc') }}
        ) as version_rank

    from zones
    inner join sites on zones.site_id = sites.site_id

),

final as (

    select
        site_id,
        unit_id,
        zone_id,
        role,
        geometry_version,
        area_m2,
        polygon_wkt,
        valid_from_utc,
        valid_to_utc,
        is_current

    from ranked
    where version_rank = 1

)

select * from final
