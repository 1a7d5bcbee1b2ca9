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

-- one row per link that holds, in the calendar of its site or not (is_open null), or with no link
link_hours as (

    select
        code_hours.*,
        links.site_id,
        links.unit_id,
        site_hours.is_open,
        case
            when links.site_id is null then null
            when site_hours.is_open is null then 0
            else 1
        end as is_in_calendar

    from code_hours
    left join links
        on
            code_hours.connector_id = links.connector_id
            and code_hours.ext_ref_code = links.ext_ref_code
            and {{ valid_at('links', 'code_hours.hour_start_utc') }}
    left join site_hours
        on
            links.site_id = site_hours.site_id
            and code_hours.hour_start_utc = site_hours.hour_start_utc

),

-- windows rather than joins: engines carry the hours that are asked for through them
placed as (

    select
        *,
        max(is_in_calendar) over (partition by connector_id, ext_ref_code, hour_start_utc)
            as is_any_in_calendar,
        row_number() over (
            partition by connector_id, ext_ref_code, hour_start_utc, site_id, unit_id
            order by is_in_calendar
        ) as link_place,
        row_number() over (
            partition by connector_id, ext_ref_code, hour_start_utc
            order by site_id, unit_id
        ) as code_place

    from link_hours

),

-- a code may be linked at several sites, if only one of them has the hour
linked as (

    select
        connector_id,
        ext_ref_code,
        hour_start_utc,
        current_row_count,
        ticket_count,
        net_sales,
        is_open,
        is_any_in_calendar as is_in_calendar,
        case when is_in_calendar = 1 then site_id end as site_id,
        case when is_in_calendar = 1 then unit_id end as unit_id

    from placed
    where
        (is_in_calendar = 1 and link_place = 1)
        or (coalesce(is_any_in_calendar, 0) = 0 and code_place = 1)

),

summed as (

    select
        *,
        sum(ticket_count) over (partition by site_id, unit_id, hour_start_utc, connector_id)
            as feed_ticket_count,
        sum(ticket_count) over (partition by site_id, unit_id, hour_start_utc)
            as unit_ticket_count,
        sum(net_sales) over (partition by site_id, unit_id, hour_start_utc)
            as codes_net_sales,
        min(connector_id) over (partition by site_id, unit_id, hour_start_utc) as first_connector,
        max(connector_id) over (partition by site_id, unit_id, hour_start_utc) as last_connector

    from linked

),

fated as (

    select
        summed.*,
        sales.is_provisional,
        sales.net_sales as unit_net_sales,
        case when sales.ticket_count is null then sales.reason end as withheld_reason,
        case
            when summed.site_id is not null and summed.first_connector <> summed.last_connector
                then summed.unit_ticket_count - coalesce(summed.feed_ticket_count, 0)
        end as other_feed_ticket_count,
        case
            when summed.is_in_calendar is null then 'unmatched'
            when summed.is_in_calendar = 0 then 'outside_calendar'
            when sales.site_id is null then 'different'
            when
                sales.net_sales is not null
                and (
                    summed.codes_net_sales is null or sales.net_sales <> summed.codes_net_sales
                )
                then 'different'
            when sales.ticket_count is null then 'withheld'
            when sales.ticket_count = summed.unit_ticket_count then 'in_marts'
            else 'different'
        end as fate

    from summed
    left join sales
        on
            summed.site_id = sales.site_id
            and summed.unit_id = sales.unit_id
            and summed.hour_start_utc = sales.hour_start_utc

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
