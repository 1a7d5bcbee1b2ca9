-- Grain: one row per visit to a queue zone.

with

source as (

    select * from {{ source('lake', 'queue_events') }}

),

final as (

    select
        site_id,
        unit_id,
        zone_id,
        tracklet_id,
        {{ utc_timestamp('joined_at_utc') }} as joined_at_utc,
        {{ utc_timestamp('ended_at_utc') }} as ended_at_utc,
        outcome,
        wait_s,
        is_join,
        is_censored,
        {{ utc_timestamp('hour_start_utc') }} as hour_start_utc,
        rule_version,
        geometry_version

    from source

)

select * from final
