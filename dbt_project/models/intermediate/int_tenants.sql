-- Grain: one row per site and tenant, whether it still rents a unit or not.
-- Operator and category are those of the last hour of the site's calendar, else the last ones; of
-- several units at once, those of the one it took last.

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
        coalesce({{ valid_at('tenancies', 'sites.last_hour_start_utc') }}, false) as is_current,
        row_number() over (
            partition by tenancies.site_id, tenancies.tenant_id
            order by
                {{ version_order('tenancies', 'sites.last_hour_start_utc') }},
                tenancies.unit_id,
                tenancies.operator_id,
                tenancies.category
        ) as version_rank

    from tenancies
    inner join sites on tenancies.site_id = sites.site_id

),

rented as (

    select
        site_id,
        tenant_id,
        max(case when is_current then 1 else 0 end) as current_count,
        count(distinct case when is_current then unit_id end) as unit_count,
        min(case when is_current then unit_id end) as first_unit_id,
        sum(case when valid_from_utc is null then 1 else 0 end) as from_always_count,
        sum(case when valid_to_utc is null then 1 else 0 end) as to_always_count,
        min(valid_from_utc) as first_from_utc,
        max(valid_to_utc) as last_to_utc

    from ranked
    group by site_id, tenant_id

),

latest as (

    select
        site_id,
        tenant_id,
        operator_id,
        category

    from ranked
    where version_rank = 1

),

final as (

    select
        latest.site_id,
        latest.tenant_id,
        latest.operator_id,
        latest.category,
        {{ as_bigint('rented.unit_count') }} as unit_count,
        case when rented.unit_count = 1 then rented.first_unit_id end as unit_id,
        case when rented.from_always_count = 0 then rented.first_from_utc end as first_from_utc,
        case when rented.to_always_count = 0 then rented.last_to_utc end as last_to_utc,
        rented.current_count > 0 as is_current

    from latest
    inner join rented
        on
            latest.site_id = rented.site_id
            and latest.tenant_id = rented.tenant_id

)

select * from final
