-- Grain: one row per site, unit and business date; the common area on days on which it has an area.
-- Sales follow the tenancy and area the unit, both as valid when the business date begins.

{{ config(
    pre_hook="{{ delete_affected(
        ['site_id', 'unit_id', 'business_date'], 'int_affected_unit_dates'
    ) }}"
) }}

with

affected as (

    select * from {{ ref('int_affected_unit_dates') }}

),

unit_days as (

    select *

    from {{ ref('int_unit_days') }} as every_day
    {{ where_affected('every_day', ['site_id', 'unit_id', 'business_date']) }}

),

sales as (

    select * from {{ ref('fct_sales_daily') }}

),

joined as (

    select
        unit_days.site_id || '/' || unit_days.unit_id as unit_key,
        unit_days.site_id,
        unit_days.unit_id,
        unit_days.business_date,
        unit_days.tenant_id,
        unit_days.operator_id,
        unit_days.category,
        unit_days.tenancy_count,
        unit_days.gla_m2,
        unit_days.selling_m2,
        unit_days.is_hours_known,
        unit_days.open_us,
        {{ whole_number('coalesce(sales.amount_completeness, 0) * unit_days.open_us') }}
            as known_us,
        sales.net_sales,
        sales.currency,
        sales.tax_included,
        sales.amount_completeness as completeness,
        sales.reason as sales_reason,
        coalesce(sales.is_provisional, false) as is_provisional,
        sales.as_of_utc,
        case
            when unit_days.unit_id = '_common' then 'common_area'
            when unit_days.tenancy_count = 0 then 'vacant'
            when unit_days.gla_m2 is null then 'area_unknown'
            when sales.net_sales is null then sales.amount_reason
        end as no_rate_reason

    from unit_days
    left join sales
        on
            unit_days.site_id = sales.site_id
            and unit_days.unit_id = sales.unit_id
            and unit_days.business_date = sales.business_date

),

rated as (

    select
        *,
        case when no_rate_reason is null then net_sales end as rated_sales,
        case when is_hours_known then gla_m2 * {{ seconds('known_us') }} end as gla_m2_s

    from joined

),

final as (

    select
        unit_key,
        site_id,
        unit_id,
        business_date,
        tenant_id,
        operator_id,
        category,
        {{ as_bigint('tenancy_count') }} as tenancy_count,
        gla_m2,
        selling_m2,
        {{ as_money('net_sales') }} as net_sales,
        currency,
        tax_included,
        {{ seconds('open_us') }} as open_s,
        {{ seconds('known_us') }} as known_open_s,
        is_hours_known,
        {{ ratio('rated_sales', 'gla_m2') }} as net_sales_per_gla_m2,
        {{ ratio('rated_sales', 'selling_m2') }} as net_sales_per_selling_m2,
        {{ ratio('rated_sales', ratio('gla_m2_s', '3600')) }} as net_sales_per_gla_m2_trading_hour,
        no_rate_reason is null
        or no_rate_reason in ('no_tickets', 'closed') as is_in_tenant_rate,
        completeness,
        case
            when no_rate_reason is not null then 'missing'
            when completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis,
        case
            when no_rate_reason is not null then no_rate_reason
            when completeness is null or completeness < {{ var('completeness_complete') }}
                then sales_reason
        end as reason,
        is_provisional,
        as_of_utc,
        'sales_density.v1' as metric_version

    from rated

)

select * from final
