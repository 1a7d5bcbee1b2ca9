-- Grain: one row per site, unit and month that is over; the common area where it has an area.
-- Built whole each time: twelve months lie behind each row.

{{ config(materialized='table') }}

with

rates as (

    select * from {{ ref('int_density_rates') }}

),

final as (

    select
        site_id || '/' || unit_id as unit_key,
        site_id,
        unit_id,
        month_start,
        {{ as_bigint('day_count') }} as day_count,
        net_sales,
        currency,
        tax_included,
        gla_m2,
        selling_m2,
        net_sales_per_gla_m2,
        net_sales_per_selling_m2,
        net_sales_per_gla_m2_trading_hour,
        annualised_net_sales_per_gla_m2,
        annualised_net_sales_per_selling_m2,
        mat_net_sales,
        mat_gla_m2,
        {{ ratio('mat_net_sales', 'mat_gla_m2') }} as mat_net_sales_per_gla_m2,
        mat_completeness,
        mat_basis,
        mat_reason,
        completeness,
        basis,
        reason,
        is_provisional,
        as_of_utc,
        'sales_density.v1' as metric_version

    from rates
    where rate_scope = 'unit'

)

select * from final
