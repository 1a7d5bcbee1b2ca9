-- Grain: one row per visit to a zone.

with

source as (

    select * from {{ source('lake', 'visits') }}

),

final as (

    select
        site_id,
        unit_id,
        zone_id,
        tracklet_id,
        {{ utc_timestamp('entered_at_utc') }} as entered_at_utc,
        {{ utc_timestamp('left_at_utc') }} as left_at_utc,
        dwell_s,
        is_start_censored,
        is_end_censored,
        {{ utc_timestamp('hour_start_utc') }} as hour_start_utc,
        rule_version,
        geometry_version

    from source

)

select * from final
