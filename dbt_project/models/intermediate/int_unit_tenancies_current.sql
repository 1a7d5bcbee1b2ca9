-- Grain: one row per site and unit whose tenancy is known in the last hour of the site's calendar.

with

tenancies as (

    select * from {{ ref('stg_space_tenancy') }}

),

sites as (

    select * from {{ ref('int_sites') }}

),

ranked as (

    select
        tenancies.*,
        row_number() over (
            partition by tenancies.site_id, tenancies.unit_id
            order by
                case when tenancies.valid_from_utc is null then 0 else 1 end desc,
                tenancies.valid_from_utc desc
        ) as version_rank

    from tenancies
    inner join sites on tenancies.site_id = sites.site_id
    where
        sites.last_hour_start_utc is null
        or {{ valid_at('tenancies', 'sites.last_hour_start_utc') }}

),

final as (

    select
        site_id,
        unit_id,
        tenant_id,
        operator_id,
        category

    from ranked
    where version_rank = 1

)

select * from final
