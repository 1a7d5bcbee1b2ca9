-- Grain: one row per site, unit, category, zone and span in which the zone shows it.

with

zone_categories as (

    select * from {{ ref('stg_space_zone_category') }}

),

final as (

    select distinct
        site_id,
        unit_id,
        category,
        zone_id,
        valid_from_utc,
        valid_to_utc

    from zone_categories
    where {{ is_category('category') }}

)

select * from final
