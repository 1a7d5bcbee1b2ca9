-- Grain: one row per site, month, measure, peer group and tenant that is compared in it.

{{ config(tags=['after_python']) }}

with

source as (

    select * from {{ source('lake', 'benchmark_suppression') }}

),

final as (

    select
        site_id,
        month_start,
        measure,
        peer_group,
        unit_id,
        tenant_id,
        operator_id,
        is_in_cohort,
        is_suppressed,
        reason,
        min_operators,
        rule_version

    from source

)

select * from final
