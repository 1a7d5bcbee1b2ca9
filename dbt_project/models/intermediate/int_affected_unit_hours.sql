-- Grain: one row per site, unit and local hour that changed since the last build that succeeded.

with

affected_hours as (

    select * from {{ ref('stg_affected_hours') }}

),

final as (

    select distinct
        site_id,
        unit_id,
        hour_start_utc

    from affected_hours

)

select * from final
