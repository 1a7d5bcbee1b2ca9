{{ config(meta={'dagster': {'ref': {'name': 'fct_queue_hourly'}}}) }}
-- Every staged queue event, in an hour of the spine, is in exactly one count of its queue and hour,
-- or lies where no camera watched, or where nobody could see how it ended.

with

events as (

    select
        site_id,
        zone_id,
        unit_id,
        hour_start_utc,
        count(*) as event_count

    from {{ ref('stg_queue_events') }}
    group by site_id, zone_id, unit_id, hour_start_utc

),

queues as (

    select * from {{ ref('fct_queue_hourly') }}

),

final as (

    select
        queues.unit_key,
        queues.zone_id,
        queues.hour_start_utc

    from queues
    left join events
        on
            queues.site_id = events.site_id
            and queues.zone_id = events.zone_id
            and queues.unit_id = events.unit_id
            and queues.hour_start_utc = events.hour_start_utc
    where
        queues.join_count + queues.balked_count + queues.unqueued_count + queues.unknown_count
        <> coalesce(events.event_count, 0)

)

select * from final
