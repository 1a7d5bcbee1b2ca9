-- Grain: one row per site, unit, tenant, month that is over, and peer group: its category, and all.
-- Built whole each time: what may be shown of a month depends on the months before it.

{{ config(materialized='table', tags=['after_python']) }}

with

tenant_months as (

    select * from {{ ref('int_tenant_months') }}

),

sales as (

    select * from {{ ref('int_benchmark_sales') }}

),

traffic as (

    select * from {{ ref('int_benchmark_traffic') }}

),

own as (

    select
        tenant_months.*,
        {{ ratio('net_sales', 'gla_m2') }} as sales_per_m2,
        {{ ratio('net_entry_count', 'gla_m2') }} as entries_per_m2,
        {{ ratio('ticket_count', 'net_entry_count') }} as conversion_rate,
        {{ ratio('matched_net_sales', 'net_entry_count') }} as sales_per_visitor

    from tenant_months

),

grouped as (

    select
        own.*,
        own.category as peer_group

    from own
    where own.category <> '_all'
    union all
    select
        own.*,
        '_all' as peer_group

    from own

),

joined as (

    select
        grouped.*,
        sales.is_suppressed as is_sales_suppressed,
        sales.reason as sales_suppression,
        sales.is_in_cohort,
        sales.tenant_count as peer_tenant_count,
        sales.operator_count as peer_operator_count,
        sales.net_sales as peer_net_sales,
        sales.gla_m2 as peer_gla_m2,
        sales.below_count,
        sales.other_count,
        traffic.is_suppressed as is_traffic_suppressed,
        traffic.reason as traffic_suppression,
        traffic.net_entry_count as peer_net_entry_count,
        traffic.ticket_count as peer_ticket_count,
        traffic.gla_m2 as peer_traffic_gla_m2,
        case
            when sales.is_in_cohort then sales.net_sales - grouped.net_sales
            else sales.net_sales
        end as rest_net_sales,
        case
            when sales.is_in_cohort then sales.gla_m2 - grouped.gla_m2
            else sales.gla_m2
        end as rest_gla_m2

    from grouped
    left join sales
        on
            grouped.site_id = sales.site_id
            and grouped.month_start = sales.month_start
            and grouped.unit_id = sales.unit_id
            and grouped.tenant_id = sales.tenant_id
            and grouped.peer_group = sales.peer_group
    left join traffic
        on
            grouped.site_id = traffic.site_id
            and grouped.month_start = traffic.month_start
            and grouped.unit_id = traffic.unit_id
            and grouped.tenant_id = traffic.tenant_id
            and grouped.peer_group = traffic.peer_group

),

peers as (

    select
        *,
        {{ ratio('peer_net_sales', 'peer_gla_m2') }} as peer_sales_per_m2,
        {{ ratio('rest_net_sales', 'rest_gla_m2') }} as rest_sales_per_m2,
        {{ ratio('peer_net_entry_count', 'peer_traffic_gla_m2') }} as peer_entries_per_m2,
        {{ ratio('peer_ticket_count', 'peer_net_entry_count') }} as peer_conversion_rate,
        {{ ratio('net_sales', 'peer_net_sales') }} as sales_share,
        {{ ratio('gla_m2', 'peer_gla_m2') }} as area_share

    from joined

),

compared as (

    select
        *,
        100 * {{ ratio('sales_per_m2', 'peer_sales_per_m2') }} as density_index,
        100 * {{ ratio('sales_per_m2', 'rest_sales_per_m2') }} as density_index_without_own,
        100 * {{ ratio('sales_share', 'area_share') }} as fair_share_index,
        100 * {{ ratio('below_count', 'other_count') }} as density_percentile,
        100 * {{ ratio('entries_per_m2', 'peer_entries_per_m2') }} as draw_index,
        100 * {{ ratio('conversion_rate', 'peer_conversion_rate') }} as conversion_index

    from peers

),

low_months as (

    select
        site_id,
        unit_id,
        tenant_id,
        peer_group,
        month_start,
        case
            when density_percentile < 25 then 1
            when density_percentile is not null then 0
        end as is_low,
        row_number() over (
            partition by site_id, unit_id, tenant_id, peer_group order by month_start
        ) as month_number,
        {{ months_between("cast('1996-01-01' as date)", 'month_start') }} as calendar_number

    from compared

),

low_runs as (

    select
        site_id,
        unit_id,
        tenant_id,
        peer_group,
        month_start,
        sum(is_low) over (
            partition by site_id, unit_id, tenant_id, peer_group, calendar_number - month_number
            order by month_start
            rows between 2 preceding and current row
        ) as low_count

    from low_months

),

final as (

    select
        compared.unit_key,
        compared.site_id || '/' || compared.tenant_id as tenant_key,
        compared.site_id,
        compared.unit_id,
        compared.tenant_id,
        compared.operator_id,
        compared.category,
        compared.month_start,
        compared.peer_group,
        compared.net_sales,
        compared.currency,
        compared.tax_included,
        compared.gla_m2,
        compared.net_entry_count,
        compared.ticket_count,
        compared.sales_per_m2,
        compared.conversion_rate,
        compared.sales_per_visitor,
        compared.peer_net_sales,
        compared.peer_gla_m2,
        compared.peer_sales_per_m2,
        {{ as_bigint('compared.peer_tenant_count') }} as peer_tenant_count,
        {{ as_bigint('compared.peer_operator_count') }} as peer_operator_count,
        compared.peer_net_entry_count,
        compared.peer_ticket_count,
        compared.peer_conversion_rate,
        compared.is_in_cohort,
        compared.density_index,
        compared.density_index_without_own,
        compared.fair_share_index,
        compared.density_percentile,
        compared.draw_index,
        compared.conversion_index,
        case
            when compared.draw_index >= 100 and compared.conversion_index >= 100
                then 'attracts+converts'
            when compared.draw_index >= 100 and compared.conversion_index < 100
                then 'attracts, leaks'
            when compared.draw_index < 100 and compared.conversion_index >= 100
                then 'converts, hidden'
            when compared.draw_index < 100 and compared.conversion_index < 100
                then 'hidden, leaks'
        end as quadrant,
        case
            when low_runs.low_count = 3 then true
            when
                compared.density_index < 100
                and compared.draw_index < 100
                and compared.conversion_index < 100
                then true
            when compared.density_index is not null and compared.draw_index is not null then false
        end as is_underperforming,
        compared.sales_completeness as completeness,
        compared.traffic_completeness,
        case
            when compared.no_sales_reason is not null or compared.is_sales_suppressed is null
                then 'missing'
            when compared.is_sales_suppressed then 'suppressed'
            when compared.sales_completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis,
        case
            when compared.no_sales_reason is not null then compared.no_sales_reason
            when compared.is_sales_suppressed is null then 'not_compared'
            when compared.is_sales_suppressed then compared.sales_suppression
            when compared.sales_completeness < {{ var('completeness_complete') }}
                then 'month_in_part'
        end as reason,
        case
            when compared.no_traffic_reason is not null then compared.no_traffic_reason
            when compared.is_traffic_suppressed is null then 'not_compared'
            when compared.is_traffic_suppressed then compared.traffic_suppression
            when compared.traffic_completeness < {{ var('completeness_complete') }}
                then 'month_in_part'
        end as traffic_reason,
        compared.is_provisional,
        compared.as_of_utc,
        'benchmark.v1' as metric_version

    from compared
    left join low_runs
        on
            compared.site_id = low_runs.site_id
            and compared.unit_id = low_runs.unit_id
            and compared.tenant_id = low_runs.tenant_id
            and compared.peer_group = low_runs.peer_group
            and compared.month_start = low_runs.month_start

)

select * from final
