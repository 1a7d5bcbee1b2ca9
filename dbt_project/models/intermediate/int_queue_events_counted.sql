-- Grain: one row per site, queue zone, unit and local hour in which somebody came to the queue.
-- A wait that was not seen whole (is_censored) is a lower bound, and enters no mean.

with

events as (

    select * from {{ ref('stg_queue_events') }}

),

judged as (

    select
        *,
        is_join and outcome = 'served' as is_served,
        is_join and outcome = 'abandoned' as is_abandoned,
        {{ microseconds('wait_s') }} as wait_us

    from events

),

final as (

    select
        site_id,
        zone_id,
        unit_id,
        hour_start_utc,
        sum(case when is_served or is_abandoned then 1 else 0 end) as join_count,
        sum(case when is_served then 1 else 0 end) as served_count,
        sum(case when is_abandoned then 1 else 0 end) as abandoned_count,
        sum(case when outcome = 'balked' then 1 else 0 end) as balked_count,
        sum(case when outcome = 'served' and not is_join then 1 else 0 end) as unqueued_count,
        sum(case when outcome is null or is_join is null then 1 else 0 end) as unknown_count,
        sum(case when is_served and not is_censored then 1 else 0 end) as timed_served_count,
        sum(case when is_served and not is_censored then wait_us else 0 end) as served_wait_us,
        sum(case when (is_served or is_abandoned) and not is_censored then 1 else 0 end)
            as timed_join_count,
        sum(case when (is_served or is_abandoned) and not is_censored then wait_us else 0 end)
            as join_wait_us

    from judged
    group by site_id, zone_id, unit_id, hour_start_utc

)

select * from final
