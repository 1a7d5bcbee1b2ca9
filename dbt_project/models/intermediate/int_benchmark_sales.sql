-- Grain: one row per site, month, peer group and tenant whose sales are compared in it.
-- The totals are of the group's cohort; null where they must not be shown.

{{ config(tags=['after_python']) }}

with

decided as (

    select *

    from {{ ref('stg_benchmark_suppression') }}
    where measure = 'sales'

),

tenant_months as (

    select * from {{ ref('int_tenant_months') }}

),

compared as (

    select
        decided.site_id,
        decided.month_start,
        decided.peer_group,
        decided.unit_id,
        decided.tenant_id,
        decided.operator_id,
        decided.is_in_cohort,
        decided.is_suppressed,
        decided.reason,
        decided.min_operators,
        tenant_months.net_sales,
        tenant_months.gla_m2,
        coalesce(tenant_months.currency, '') as currency_key,
        case
            when tenant_months.tax_included then 'yes'
            when not tenant_months.tax_included then 'no'
            else ''
        end as tax_key,
        {{ ratio('tenant_months.net_sales', 'tenant_months.gla_m2') }} as sales_per_m2

    from decided
    inner join tenant_months
        on
            decided.site_id = tenant_months.site_id
            and decided.month_start = tenant_months.month_start
            and decided.unit_id = tenant_months.unit_id
            and decided.tenant_id = tenant_months.tenant_id

),

cohorts as (

    select *

    from compared
    where is_in_cohort

),

totals as (

    select
        site_id,
        month_start,
        peer_group,
        currency_key,
        tax_key,
        sum(net_sales) as net_sales,
        sum(gla_m2) as gla_m2,
        count(distinct operator_id) as operator_count,
        count(*) as tenant_count

    from cohorts
    group by site_id, month_start, peer_group, currency_key, tax_key

),

ranks as (

    select
        compared.site_id,
        compared.month_start,
        compared.peer_group,
        compared.unit_id,
        compared.tenant_id,
        count(*) as other_count,
        sum(case when peers.sales_per_m2 < compared.sales_per_m2 then 1 else 0 end) as below_count

    from compared
    inner join cohorts as peers
        on
            compared.site_id = peers.site_id
            and compared.month_start = peers.month_start
            and compared.peer_group = peers.peer_group
            and compared.currency_key = peers.currency_key
            and compared.tax_key = peers.tax_key
            and compared.operator_id <> peers.operator_id
    group by
        compared.site_id,
        compared.month_start,
        compared.peer_group,
        compared.unit_id,
        compared.tenant_id

),

final as (

    select
        compared.site_id,
        compared.month_start,
        compared.peer_group,
        compared.unit_id,
        compared.tenant_id,
        compared.is_in_cohort,
        compared.is_suppressed,
        compared.reason,
        compared.min_operators,
        totals.tenant_count,
        totals.operator_count,
        totals.gla_m2,
        {{ as_money('totals.net_sales') }} as net_sales,
        ranks.other_count,
        -- At either end the tenant learns the rank of the one beside it, or it would know a limit
        -- of what every other sells.
        case
            when ranks.below_count < {{ var('benchmark_rank_margin') }}
                then {{ var('benchmark_rank_margin') }}
            when ranks.below_count > ranks.other_count - {{ var('benchmark_rank_margin') }}
                then ranks.other_count - {{ var('benchmark_rank_margin') }}
            else ranks.below_count
        end as below_count

    from compared
    left join totals
        on
            compared.site_id = totals.site_id
            and compared.month_start = totals.month_start
            and compared.peer_group = totals.peer_group
            and compared.currency_key = totals.currency_key
            and compared.tax_key = totals.tax_key
    left join ranks
        on
            compared.site_id = ranks.site_id
            and compared.month_start = ranks.month_start
            and compared.peer_group = ranks.peer_group
            and compared.unit_id = ranks.unit_id
            and compared.tenant_id = ranks.tenant_id

)

select * from final
