-- Grain: one row per visit to a queue zone that was a wait, or may have been one.
-- Balks and who was served at once are left out; a wait whose end nobody saw was one all the same.

with

events as (

    select * from {{ ref('stg_queue_events') }}

),

final as (

    select
        site_id,
        zone_id,
        unit_id,
        joined_at_utc,
        ended_at_utc

    from events
    where coalesce(is_join, true)

)

select * from final
