-- Grain: one row per crossing of a counting line.

with

source as (

    select * from {{ source('lake', 'line_crossings') }}

),

final as (

    select
        site_id,
        unit_id,
        line_id,
        tracklet_id,
        {{ utc_timestamp('at_utc') }} as at_utc,
        direction,
        x_m,
        y_m,
        {{ utc_timestamp('hour_start_utc') }} as hour_start_utc,
        rule_version,
        geometry_version

    from source

)

select * from final
