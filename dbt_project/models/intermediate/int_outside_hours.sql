-- Grain: one row per site, unit and local hour in which the unit has a line of role outside.
-- Everybody who passes is counted, in both directions, staff included.

with

unit_hours as (

    select * from {{ ref('int_unit_hours') }}

),

lines as (

    select * from {{ ref('stg_space_line') }}

),

camera_sees as (

    select * from {{ ref('stg_space_camera_sees') }}

),

camera_hours as (

    select * from {{ ref('int_camera_hours') }}

),

crossings as (

    select * from {{ ref('stg_line_crossings') }}

),

outside_lines as (

    select distinct
        unit_hours.site_id,
        unit_hours.unit_id,
        unit_hours.hour_start_utc,
        unit_hours.business_date,
        lines.line_id

    from unit_hours
    inner join lines
        on
            unit_hours.site_id = lines.site_id
            and unit_hours.unit_id = lines.unit_id
            and lines.role = 'outside'
            and {{ valid_at('lines', 'unit_hours.hour_start_utc') }}

),

watched as (

    select
        outside_lines.site_id,
        outside_lines.unit_id,
        outside_lines.hour_start_utc,
        outside_lines.business_date,
        max(case when camera_sees.camera_id is null then 1 else 0 end) as has_unseen_line,
        min(camera_hours.completeness) as completeness,
        max(camera_hours.observed_any_s) as observed_any_s,
        min(camera_hours.coverage_reason) as coverage_reason

    from outside_lines
    left join camera_sees
        on
            outside_lines.site_id = camera_sees.site_id
            and outside_lines.line_id = camera_sees.sees_id
            and camera_sees.sees_kind = 'line'
            and {{ valid_at('camera_sees', 'outside_lines.hour_start_utc') }}
    left join camera_hours
        on
            camera_sees.site_id = camera_hours.site_id
            and camera_sees.camera_id = camera_hours.camera_id
            and outside_lines.hour_start_utc = camera_hours.hour_start_utc
    group by
        outside_lines.site_id,
        outside_lines.unit_id,
        outside_lines.hour_start_utc,
        outside_lines.business_date

),

counted as (

    select
        crossings.site_id,
        crossings.unit_id,
        crossings.hour_start_utc,
        count(*) as crossing_count

    from crossings
    inner join outside_lines
        on
            crossings.site_id = outside_lines.site_id
            and crossings.unit_id = outside_lines.unit_id
            and crossings.hour_start_utc = outside_lines.hour_start_utc
            and crossings.line_id = outside_lines.line_id
    group by crossings.site_id, crossings.unit_id, crossings.hour_start_utc

),

final as (

    select
        watched.site_id,
        watched.unit_id,
        watched.hour_start_utc,
        watched.business_date,
        watched.has_unseen_line = 1 as has_unseen_line,
        watched.completeness,
        watched.coverage_reason,
        case when watched.observed_any_s > 0 then coalesce(counted.crossing_count, 0) end
            as outside_count

    from watched
    left join counted
        on
            watched.site_id = counted.site_id
            and watched.unit_id = counted.unit_id
            and watched.hour_start_utc = counted.hour_start_utc

)

select * from final
