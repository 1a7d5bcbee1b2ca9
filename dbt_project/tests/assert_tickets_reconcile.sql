{{ config(meta={'dagster': {'ref': {'name': 'fct_conversion_hourly'}}}) }}
-- The tickets of a unit-hour are the current tickets of its linked codes, no more and no fewer,
-- wherever the feed covered the hour.

with

tickets as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        sum(num_tickets) as ticket_count

    from {{ ref('int_unit_ticket_hours') }}
    group by site_id, unit_id, hour_start_utc

),

conversion as (

    select * from {{ ref('fct_conversion_hourly') }}

),

final as (

    select
        conversion.unit_key,
        conversion.hour_start_utc,
        conversion.ticket_count as counted,
        coalesce(tickets.ticket_count, 0) as linked

    from conversion
    left join tickets
        on
            conversion.site_id = tickets.site_id
            and conversion.unit_id = tickets.unit_id
            and conversion.hour_start_utc = tickets.hour_start_utc
    where conversion.ticket_count <> coalesce(tickets.ticket_count, 0)

)

select * from final
