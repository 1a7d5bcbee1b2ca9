-- Grain: one row per site, unit and business date that an affected hour may belong to.
-- A business date lies at most two days before and one day after the UTC date of its hours
-- (offsets run from -12 h to +14 h, business days begin up to a day late). The calendar is not
-- asked: an hour that left it has to be taken out of its old date all the same.

with

affected_unit_hours as (

    select * from {{ ref('int_affected_unit_hours') }}

),

shifts as (

    select -2 as shift_days
    union all
    select -1 as shift_days
    union all
    select 0 as shift_days
    union all
    select 1 as shift_days

),

final as (

    select distinct
        affected_unit_hours.site_id,
        affected_unit_hours.unit_id,
        cast({{ days_after('affected_unit_hours.hour_start_utc', 'shifts.shift_days') }} as date)
            as business_date

    from affected_unit_hours
    cross join shifts

)

select * from final
