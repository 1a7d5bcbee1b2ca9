-- Grain: one row per site, month, peer group and tenant whose traffic is compared in it.
-- The totals are of the group's cohort; null where they must not be shown.

{{ config(tags=['after_python']) }}

with

decided as (

    select *

    from {{ ref('stg_benchmark_suppression') }}
    where measure = 'traffic'

),

tenant_months as (

    select * from {{ ref('int_tenant_months') }}

),

totals as (

    select
        decided.site_id,
        decided.month_start,
        decided.peer_group,
        sum(tenant_months.net_entry_count) as net_entry_count,
        sum(tenant_months.ticket_count) as ticket_count,
        sum(tenant_months.gla_m2) as gla_m2,
        count(distinct decided.operator_id) as operator_count

    from decided
    inner join tenant_months
        on
            decided.site_id = tenant_months.site_id
            and decided.month_start = tenant_months.month_start
            and decided.unit_id = tenant_months.unit_id
            and decided.tenant_id = tenant_months.tenant_id
    where decided.is_in_cohort
    group by decided.site_id, decided.month_start, decided.peer_group

),

final as (

    select
        decided.site_id,
        decided.month_start,
        decided.peer_group,
        decided.unit_id,
        decided.tenant_id,
        decided.is_in_cohort,
        decided.is_suppressed,
        decided.reason,
        totals.operator_count,
        totals.gla_m2,
        {{ as_bigint('totals.net_entry_count') }} as net_entry_count,
        {{ as_bigint('totals.ticket_count') }} as ticket_count

    from decided
    left join totals
        on
            decided.site_id = totals.site_id
            and decided.month_start = totals.month_start
            and decided.peer_group = totals.peer_group

)

select * from final
