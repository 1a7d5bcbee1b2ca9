-- Grain: one row per site, unit and local hour, whether anything was seen or sold or not.
-- Null means not observed; 0 means observed and nothing happened.

{{ config(
    pre_hook="{{ delete_affected(
        ['site_id', 'unit_id', 'hour_start_utc'], 'int_affected_lagged_hours'
    ) }}"
) }}

with

affected as (

    select * from {{ ref('int_affected_lagged_hours') }}

),

sales as (

    select *

    from {{ ref('fct_sales_hourly') }} as every_sale
    {{ where_affected('every_sale', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

traffic as (

    select *

    from {{ ref('fct_traffic_hourly') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

lagged as (

    select *

    from {{ ref('int_net_entries_lagged') }} as every_lagged
    {{ where_affected('every_lagged', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

joined as (

    select
        traffic.*,
        lagged.net_entry_count_lagged,
        sales.ticket_count,
        sales.net_sales,
        sales.currency,
        sales.tax_included,
        sales.completeness as feed_completeness,
        sales.basis as sales_basis,
        sales.reason as sales_reason,
        sales.amount_reason,
        sales.is_provisional as is_feed_provisional,
        sales.as_of_utc as tickets_as_of_utc

    from traffic
    inner join sales
        on
            traffic.site_id = sales.site_id
            and traffic.unit_id = sales.unit_id
            and traffic.hour_start_utc = sales.hour_start_utc
    left join lagged
        on
            traffic.site_id = lagged.site_id
            and traffic.unit_id = lagged.unit_id
            and traffic.hour_start_utc = lagged.hour_start_utc

),

paired as (

    select
        *,
        case
            when completeness <= feed_completeness then completeness
            else feed_completeness
        end as both_completeness,
        {{ ratio('ticket_count', 'net_entry_count') }} as conversion_rate,
        {{ ratio('ticket_count', 'entry_count') }} as conversion_rate_gross,
        {{ ratio('ticket_count', 'net_entry_count_imputed') }} as conversion_rate_imputed,
        {{ ratio('ticket_count', 'net_entry_count_lagged') }} as conversion_rate_lagged,
        {{ ratio('net_sales', 'net_entry_count') }} as sales_per_visitor

    from joined

),

based as (

    select
        *,
        case
            when ticket_count is null or entry_count is null then 'missing'
            when both_completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as pair_basis

    from paired

),

final as (

    select
        unit_key,
        site_id,
        unit_id,
        hour_start_utc,
        local_hour,
        utc_offset_s,
        business_date,
        is_open,
        open_s,
        ticket_count,
        entry_count,
        net_entry_count,
        conversion_rate,
        conversion_rate_gross,
        conversion_rate > 1 as is_over_100,
        entry_count_imputed,
        net_entry_count_imputed,
        conversion_rate_imputed,
        net_entry_count_lagged,
        conversion_rate_lagged,
        {{ as_money('net_sales') }} as net_sales,
        currency,
        tax_included,
        sales_per_visitor,
        both_completeness as completeness,
        completeness as traffic_completeness,
        feed_completeness,
        pair_basis as basis,
        case
            when not is_open then 'closed'
            when sales_basis <> 'measured' then sales_reason
            when basis <> 'measured' then reason
            when net_entry_count = 0 then 'no_entries'
        end as reason,
        amount_reason,
        pair_basis = 'measured' as is_matched,
        is_feed_provisional as is_provisional,
        tickets_as_of_utc as as_of_utc,
        case
            when metric_version = 'traffic.net.v1' then 'conversion.net.v1'
            else 'conversion.gross.v1'
        end as metric_version

    from based

)

select * from final
