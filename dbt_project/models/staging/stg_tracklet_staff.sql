-- Grain: one row per tracklet with a visit, at sites with a staff rule.

with

source as (

    select * from {{ source('lake', 'tracklet_staff') }}

),

final as (

    select
        site_id,
        tracklet_id,
        is_staff,
        staff_zone_s,
        rule_version

    from source

)

select * from final
