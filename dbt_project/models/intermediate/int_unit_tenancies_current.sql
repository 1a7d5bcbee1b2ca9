-- Grain: one row per site and unit that somebody rents in the last hour of the site's calendar.
-- Tenant, operator and category are null where tenants of a shared unit differ in them.

with

tenancies as (

    select * from {{ ref('stg_space_tenancy') }}

),

sites as (

    select * from {{ ref('int_sites') }}

),

final as (

    select
        tenancies.site_id,
        tenancies.unit_id,
        case
            when min(tenancies.tenant_id) = max(tenancies.tenant_id)
                then min(tenancies.tenant_id)
        end as tenant_id,
        case
            when min(tenancies.operator_id) = max(tenancies.operator_id)
                then min(tenancies.operator_id)
        end as operator_id,
        case
            when
                min(tenancies.category) = max(tenancies.category)
                and count(tenancies.category) = count(*)
                then min(tenancies.category)
        end as category

    from tenancies
    inner join sites on tenancies.site_id = sites.site_id
    where
        sites.last_hour_start_utc is null
        or {{ valid_at('tenancies', 'sites.last_hour_start_utc') }}
    group by tenancies.site_id, tenancies.unit_id

)

select * from final
