-- Grain: one row per site, unit and local hour, whether anything was seen or sold or not.
-- Null means not observed; 0 means observed and nothing happened.

{{ config(pre_hook="{{ delete_affected(['site_id', 'unit_id', 'hour_start_utc']) }}") }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

link_hours as (

    select *

    from {{ ref('int_link_hours') }} as every_link_hours
    {{ where_affected('every_link_hours', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

ticket_hours as (

    select *

    from {{ ref('int_unit_ticket_hours') }} as every_ticket_hours
    {{ where_affected('every_ticket_hours', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

traffic as (

    select *

    from {{ ref('fct_traffic_hourly') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'hour_start_utc']) }}

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

tickets as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        sum(num_tickets) as ticket_count,
        max(fetched_at_utc) as as_of_utc

    from ticket_hours
    group by site_id, unit_id, hour_start_utc

),

joined as (

    select
        traffic.*,
        feeds.coverage_reason,
        feeds.site_id is not null as is_linked,
        coalesce(feeds.is_provisional, 0) = 1 as is_feed_provisional,
        case when traffic.is_open then coalesce(feeds.completeness, 0) end as feed_completeness,
        case when feeds.is_whole_hour_observed = 1 then coalesce(tickets.ticket_count, 0) end
            as ticket_count,
        case when feeds.is_whole_hour_observed = 1 then tickets.as_of_utc end as tickets_as_of_utc

    from traffic
    left join feeds
        on
            traffic.site_id = feeds.site_id
            and traffic.unit_id = feeds.unit_id
            and traffic.hour_start_utc = feeds.hour_start_utc
    left join tickets
        on
            traffic.site_id = tickets.site_id
            and traffic.unit_id = tickets.unit_id
            and traffic.hour_start_utc = tickets.hour_start_utc

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
        {{ ratio('ticket_count', 'net_entry_count_imputed') }} as conversion_rate_imputed

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
        {{ as_bigint('ticket_count') }} as ticket_count,
        entry_count,
        net_entry_count,
        conversion_rate,
        conversion_rate_gross,
        conversion_rate > 1 as is_over_100,
        entry_count_imputed,
        net_entry_count_imputed,
        conversion_rate_imputed,
        both_completeness as completeness,
        completeness as traffic_completeness,
        feed_completeness,
        pair_basis as basis,
        case
            when not is_open then 'closed'
            when not is_linked then 'feed_not_linked'
            when
                ticket_count is null or feed_completeness < {{ var('completeness_complete') }}
                then coalesce(coverage_reason, 'feed_silent')
            when basis <> 'measured' then reason
            when net_entry_count = 0 then 'no_entries'
        end as reason,
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
