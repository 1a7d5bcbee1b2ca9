-- Grain: one row per site, unit and local hour, whether anything was sold or not.
-- Null means not known; 0 means that the feed covered the hour and nothing was sold.

{{ config(pre_hook="{{ delete_affected(['site_id', 'unit_id', 'hour_start_utc']) }}") }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

unit_hours as (

    select *

    from {{ ref('int_unit_hours') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

link_hours as (

    select *

    from {{ ref('int_link_hours') }} as every_link_hours
    {{ where_affected('every_link_hours', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

sales as (

    select *

    from {{ ref('int_unit_sales') }} as every_sale
    {{ where_affected('every_sale', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

feeds as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        min(completeness) as completeness,
        min(coverage_reason) as coverage_reason,
        min(case when is_whole_hour_observed then 1 else 0 end) as is_whole_hour_observed,
        max(case when is_provisional then 1 else 0 end) as is_provisional

    from link_hours
    group by site_id, unit_id, hour_start_utc

),

joined as (

    select
        unit_hours.*,
        observed.return_count,
        observed.gross_sales,
        observed.returns_amount,
        observed.net_sales,
        observed.units,
        observed.currency,
        observed.tax_included,
        observed.as_of_utc,
        feeds.coverage_reason,
        feeds.site_id is not null as is_linked,
        coalesce(feeds.is_provisional, 0) = 1 as is_provisional,
        case when unit_hours.is_open then coalesce(feeds.completeness, 0) end as completeness,
        case
            when observed.site_id is not null then observed.ticket_count
            when feeds.is_whole_hour_observed = 1 then 0
        end as ticket_count,
        case
            when observed.site_id is not null then observed.amount_reason
            when feeds.is_whole_hour_observed = 1 then 'no_tickets'
        end as amount_reason,
        coalesce(feeds.is_whole_hour_observed, 0) = 1 as is_observed

    from unit_hours
    left join feeds
        on
            unit_hours.site_id = feeds.site_id
            and unit_hours.unit_id = feeds.unit_id
            and unit_hours.hour_start_utc = feeds.hour_start_utc
    -- half an hour's tickets are not the hour's: what came of an hour that was not covered stays in
    -- the lake
    left join sales as observed
        on
            feeds.site_id = observed.site_id
            and feeds.unit_id = observed.unit_id
            and feeds.hour_start_utc = observed.hour_start_utc
            and feeds.is_whole_hour_observed = 1

),

reasoned as (

    select
        *,
        case
            when not is_linked then 'feed_not_linked'
            when not is_observed or completeness < {{ var('completeness_complete') }}
                then coalesce(coverage_reason, 'feed_silent')
            when ticket_count is null then 'tickets_by_category_only'
        end as ticket_reason

    from joined

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
        {{ seconds('open_us') }} as open_s,
        {{ as_bigint('ticket_count') }} as ticket_count,
        {{ as_bigint('return_count') }} as return_count,
        {{ as_money('gross_sales') }} as gross_sales,
        {{ as_money('returns_amount') }} as returns_amount,
        {{ as_money('net_sales') }} as net_sales,
        {{ as_bigint('units') }} as units,
        currency,
        tax_included,
        {{ ratio('net_sales', 'ticket_count') }} as average_ticket_value,
        {{ ratio('units', 'ticket_count') }} as units_per_ticket,
        completeness,
        case
            when ticket_count is null then 'missing'
            when completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis,
        case when is_open then ticket_reason else 'closed' end as reason,
        case when net_sales is null then coalesce(amount_reason, ticket_reason) end
            as amount_reason,
        is_provisional,
        as_of_utc,
        'sales.v1' as metric_version

    from reasoned

)

select * from final
