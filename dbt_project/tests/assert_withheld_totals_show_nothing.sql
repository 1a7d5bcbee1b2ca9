{{ config(meta={'dagster': {'ref': {'name': 'fct_tenant_benchmark_monthly'}}}) }}
-- A row whose peer group is withheld has nothing of its peers, and one that compares is complete.

with

benchmarks as (

    select * from {{ ref('fct_tenant_benchmark_monthly') }}

),

final as (

    select *

    from benchmarks
    where
        (
            basis in ('suppressed', 'missing')
            and (
                peer_net_sales is not null
                or peer_gla_m2 is not null
                or peer_tenant_count is not null
                or peer_operator_count is not null
                or density_index is not null
                or density_percentile is not null
            )
        )
        or (
            traffic_reason in ('below_k', 'dominated', 'complementary', 'not_compared')
            and (
                peer_net_entry_count is not null
                or peer_ticket_count is not null
                or draw_index is not null
                or conversion_index is not null
            )
        )
        or (basis <> 'measured' and reason is null)
        or (basis = 'measured' and completeness < {{ var('completeness_complete') }})

)

select * from final
