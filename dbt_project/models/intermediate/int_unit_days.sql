-- Grain: one row per site, unit and business date of the calendar; the common area where it has an
-- area. Tenant, operator and category are null where tenants of a shared unit differ in them.

with

site_days as (

    select * from {{ ref('int_site_days') }}

),

units as (

    select * from {{ ref('int_units') }}

),

areas as (

    select * from {{ ref('int_area_days') }}

),

tenants as (

    select
        site_id,
        unit_id,
        business_date,
        count(*) as tenancy_count,
        count(category) as category_count,
        min(tenant_id) as first_tenant_id,
        max(tenant_id) as last_tenant_id,
        min(operator_id) as first_operator_id,
        max(operator_id) as last_operator_id,
        min(category) as first_category,
        max(category) as last_category

    from {{ ref('int_tenant_days') }}
    group by site_id, unit_id, business_date

),

final as (

    select
        units.site_id,
        units.unit_id,
        site_days.business_date,
        site_days.open_us,
        site_days.is_hours_known,
        areas.gla_m2,
        areas.selling_m2,
        coalesce(tenants.tenancy_count, 0) as tenancy_count,
        case when tenants.first_tenant_id = tenants.last_tenant_id then tenants.first_tenant_id end
            as tenant_id,
        case
            when tenants.first_operator_id = tenants.last_operator_id
                then tenants.first_operator_id
        end as operator_id,
        case
            when
                tenants.first_category = tenants.last_category
                and tenants.category_count = tenants.tenancy_count
                then tenants.first_category
        end as category

    from site_days
    inner join units on site_days.site_id = units.site_id
    left join areas
        on
            units.site_id = areas.site_id
            and units.unit_id = areas.unit_id
            and site_days.business_date = areas.business_date
    left join tenants
        on
            units.site_id = tenants.site_id
            and units.unit_id = tenants.unit_id
            and site_days.business_date = tenants.business_date
    where units.unit_id <> '_common' or areas.unit_id is not null

)

select * from final
