-- Grain: one row per connector, ext_ref_code and hour of tickets, and unit that has this hour.
-- What became of the tickets: in_marts, unmatched (the code was linked to no unit), withheld (the
-- feed did not cover the whole hour, or sent categories only), outside_calendar (the site has no
-- such hour), or different: fct_sales_hourly says something else than its codes. Amounts have a
-- fate of their own: those of categories are shown, and their tickets are not.

with

code_hours as (

    select * from {{ ref('int_code_ticket_hours') }}

),

links as (

    select * from {{ ref('stg_space_link') }}

),

site_hours as (

    select * from {{ ref('int_site_hours') }}

),

sales as (

    select * from {{ ref('fct_sales_hourly') }}

),

link_hours as (

    select distinct
        code_hours.connector_id,
        code_hours.ext_ref_code,
        code_hours.hour_start_utc,
        links.site_id,
        links.unit_id,
        site_hours.is_open

    from code_hours
    inner join links
        on
            code_hours.connector_id = links.connector_id
            and code_hours.ext_ref_code = links.ext_ref_code
            and {{ valid_at('links', 'code_hours.hour_start_utc') }}
    left join site_hours
        on
            links.site_id = site_hours.site_id
            and code_hours.hour_start_utc = site_hours.hour_start_utc

),

-- a code may be linked at several sites, if only one of them has the hour
linked_codes as (

    select
        connector_id,
        ext_ref_code,
        hour_start_utc,
        max(case when is_open is null then 0 else 1 end) as is_in_calendar

    from link_hours
    group by connector_id, ext_ref_code, hour_start_utc

),

linked as (

    select
        code_hours.*,
        linked_codes.is_in_calendar,
        link_hours.site_id,
        link_hours.unit_id,
        link_hours.is_open

    from code_hours
    left join linked_codes
        on
            code_hours.connector_id = linked_codes.connector_id
            and code_hours.ext_ref_code = linked_codes.ext_ref_code
            and code_hours.hour_start_utc = linked_codes.hour_start_utc
    left join link_hours
        on
            code_hours.connector_id = link_hours.connector_id
            and code_hours.ext_ref_code = link_hours.ext_ref_code
            and code_hours.hour_start_utc = link_hours.hour_start_utc
            and link_hours.is_open is not null

),

feed_hours as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        connector_id,
        sum(ticket_count) as ticket_count,
        sum(net_sales) as net_sales

    from linked
    where site_id is not null
    group by site_id, unit_id, hour_start_utc, connector_id

),

unit_hours as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        sum(ticket_count) as ticket_count,
        sum(net_sales) as net_sales,
        count(*) as connector_count

    from feed_hours
    group by site_id, unit_id, hour_start_utc

),

fated as (

    select
        linked.*,
        sales.is_provisional,
        sales.net_sales as unit_net_sales,
        case when sales.ticket_count is null then sales.reason end as withheld_reason,
        case
            when unit_hours.connector_count > 1
                then unit_hours.ticket_count - coalesce(feed_hours.ticket_count, 0)
        end as other_feed_ticket_count,
        case
            when linked.is_in_calendar is null then 'unmatched'
            when linked.is_in_calendar = 0 then 'outside_calendar'
            when sales.site_id is null then 'different'
            when
                sales.net_sales is not null
                and (unit_hours.net_sales is null or sales.net_sales <> unit_hours.net_sales)
                then 'different'
            when sales.ticket_count is null then 'withheld'
            when sales.ticket_count = unit_hours.ticket_count then 'in_marts'
            else 'different'
        end as fate

    from linked
    left join sales
        on
            linked.site_id = sales.site_id
            and linked.unit_id = sales.unit_id
            and linked.hour_start_utc = sales.hour_start_utc
    left join unit_hours
        on
            linked.site_id = unit_hours.site_id
            and linked.unit_id = unit_hours.unit_id
            and linked.hour_start_utc = unit_hours.hour_start_utc
    left join feed_hours
        on
            linked.site_id = feed_hours.site_id
            and linked.unit_id = feed_hours.unit_id
            and linked.hour_start_utc = feed_hours.hour_start_utc
            and linked.connector_id = feed_hours.connector_id

),

final as (

    select
        *,
        case
            when fate not in ('in_marts', 'withheld') then fate
            when unit_net_sales is not null then 'in_marts'
            else 'withheld'
        end as amount_fate

    from fated

)

select * from final
