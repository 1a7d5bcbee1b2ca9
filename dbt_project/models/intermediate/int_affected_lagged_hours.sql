-- Grain: one row per site, unit and hour whose conversion may have changed.
-- Entries of an hour count in later hours as well, and where an opening ends changes what its last
-- hour keeps.

with

affected_unit_hours as (

    select * from {{ ref('int_affected_unit_hours') }}

),

shifts as (

    {{ ticket_lag_shifts() }}

),

final as (

    select distinct
        affected_unit_hours.site_id,
        affected_unit_hours.unit_id,
        {{ minutes_after('affected_unit_hours.hour_start_utc', 'shifts.shift_minutes') }}
            as hour_start_utc

    from affected_unit_hours
    cross join shifts

)

select * from final
