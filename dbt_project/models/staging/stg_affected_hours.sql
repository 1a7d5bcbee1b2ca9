-- Grain: one row per recorded change of a unit-hour that no build has consumed yet.

with

source as (

    select * from {{ source('lake', 'affected_hours') }}

),

final as (

    select
        site_id,
        unit_id,
        {{ utc_timestamp('hour_start_utc') }} as hour_start_utc,
        cause,
        seq

    from source

)

select * from final
