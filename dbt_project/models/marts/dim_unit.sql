-- Grain: one row per site and unit, with one more unit per site for its common area (_common).
-- Area and tenancy are those valid in the last hour of the site's calendar, never by the clock.

{{ config(materialized='table') }}

with

sites as (

    select * from {{ ref('int_sites') }}

),

units as (

    select * from {{ ref('int_units') }}

),

areas as (

    select * from {{ ref('int_unit_areas_current') }}

),

tenancies as (

    select * from {{ ref('int_unit_tenancies_current') }}

),

final as (

    select
        units.site_id || '/' || units.unit_id as unit_key,
        units.site_id,
        units.unit_id,
        units.unit_name,
        units.floor,
        sites.site_name,
        sites.timezone,
        sites.currency,
        tenancies.tenant_id,
        tenancies.operator_id,
        tenancies.category,
        areas.gla_m2,
        areas.selling_m2

    from units
    inner join sites on units.site_id = sites.site_id
    left join areas
        on
            units.site_id = areas.site_id
            and units.unit_id = areas.unit_id
    left join tenancies
        on
            units.site_id = tenancies.site_id
            and units.unit_id = tenancies.unit_id

)

select * from final
