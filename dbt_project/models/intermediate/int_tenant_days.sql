-- Grain: one row per site, unit and business date of the calendar on which somebody rents it.
-- A business date belongs to who rents the unit when it begins, and has the floor area of then.

with

site_hours as (

    select * from {{ ref('int_site_hours') }}

),

tenancies as (

    select * from {{ ref('stg_space_tenancy') }}

),

areas as (

    select * from {{ ref('stg_space_area') }}

),

site_days as (

    select
        site_id,
        business_date,
        min(hour_start_utc) as begins_utc

    from site_hours
    group by site_id, business_date

),

ranked as (

    select
        site_days.site_id,
        site_days.business_date,
        {{ month_of('site_days.business_date') }} as month_start,
        tenancies.unit_id,
        tenancies.tenant_id,
        tenancies.operator_id,
        tenancies.category,
        areas.gla_m2,
        row_number() over (
            partition by site_days.site_id, tenancies.unit_id, site_days.business_date
            order by
                case when tenancies.valid_from_utc is null then 0 else 1 end desc,
                tenancies.valid_from_utc desc,
                case when areas.valid_from_utc is null then 0 else 1 end desc,
                areas.valid_from_utc desc
        ) as version_rank

    from site_days
    inner join tenancies
        on
            site_days.site_id = tenancies.site_id
            and {{ valid_at('tenancies', 'site_days.begins_utc') }}
    left join areas
        on
            tenancies.site_id = areas.site_id
            and tenancies.unit_id = areas.unit_id
            and {{ valid_at('areas', 'site_days.begins_utc') }}

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
        gla_m2

    from ranked
    where version_rank = 1

)

select * from final
