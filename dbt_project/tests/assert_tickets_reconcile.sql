{{ config(meta={'dagster': {'ref': {'name': 'fct_sales_hourly'}}}) }}
-- The tickets of a unit-hour are the current tickets of its linked codes, no more and no fewer,
-- wherever the feed covered the hour.

with

tickets as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        sum(num_tickets) as ticket_count

    from {{ ref('int_unit_ticket_totals') }}
    group by site_id, unit_id, hour_start_utc

),

sales as (

    select * from {{ ref('fct_sales_hourly') }}

),

final as (

    select
        sales.unit_key,
        sales.hour_start_utc,
        sales.ticket_count as counted,
        coalesce(tickets.ticket_count, 0) as linked

    from sales
    left join tickets
        on
            sales.site_id = tickets.site_id
            and sales.unit_id = tickets.unit_id
            and sales.hour_start_utc = tickets.hour_start_utc
    where sales.ticket_count <> coalesce(tickets.ticket_count, 0)

)

select * from final
