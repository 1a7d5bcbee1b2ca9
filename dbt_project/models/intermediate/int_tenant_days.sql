-- Grain: one row per site, unit, business date of the calendar and tenant that rents the unit then.
-- A business date belongs to who rents the unit when it begins, and has the floor area of then.
-- Of a unit that tenants share, each has its share of the area; the shares of a day add up to 1.

with

site_days as (

    select * from {{ ref('int_site_days') }}

),

tenancies as (

    select * from {{ ref('stg_space_tenancy') }}

),

areas as (

    select * from {{ ref('int_area_days') }}

),

shared as (

    select
        site_days.site_id,
        tenancies.unit_id,
        tenancies.tenant_id,
        tenancies.operator_id,
        tenancies.category,
        site_days.business_date,
        site_days.month_start,
        tenancies.unit_share,
        {{ square_centimetres('areas.gla_m2') }} * tenancies.unit_share as gla_cm2

    from site_days
    inner join tenancies
        on
            site_days.site_id = tenancies.site_id
            and {{ valid_at('tenancies', 'site_days.begins_utc') }}
    left join areas
        on
            tenancies.site_id = areas.site_id
            and tenancies.unit_id = areas.unit_id
            and site_days.business_date = areas.business_date

),

final as (

    select
        site_id,
        unit_id,
        tenant_id,
        operator_id,
        category,
        business_date,
        month_start,
        unit_share,
        gla_cm2,
        {{ square_metres('gla_cm2') }} as gla_m2

    from shared

)

select * from final
