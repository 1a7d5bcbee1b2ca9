-- Grain: one row per site, unit and business date on which the unit has an area entry.
-- A business date has the floor area that is valid when it begins.

with

site_days as (

    select * from {{ ref('int_site_days') }}

),

areas as (

    select * from {{ ref('stg_space_area') }}

),

final as (

    select
        areas.site_id,
        areas.unit_id,
        site_days.business_date,
        areas.gla_m2,
        areas.selling_m2

    from site_days
    inner join areas
        on
            site_days.site_id = areas.site_id
            and {{ valid_at('areas', 'site_days.begins_utc') }}

)

select * from final
