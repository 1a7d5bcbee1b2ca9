-- Grain: one row per crossing of an entrance line of a unit, in the local hour it happened.
-- is_staff is what the staff rule says of the tracklet; false where there is no rule.

with

crossings as (

    select * from {{ ref('stg_line_crossings') }}

),

entrance_lines as (

    select * from {{ ref('int_entrance_lines') }}

),

staff as (

    select * from {{ ref('stg_tracklet_staff') }}
    where is_staff

),

final as (

    select
        crossings.site_id,
        crossings.unit_id,
        crossings.hour_start_utc,
        crossings.line_id,
        crossings.tracklet_id,
        crossings.at_utc,
        crossings.direction,
        staff.tracklet_id is not null as is_staff

    from crossings
    inner join entrance_lines
        on
            crossings.site_id = entrance_lines.site_id
            and crossings.unit_id = entrance_lines.unit_id
            and crossings.hour_start_utc = entrance_lines.hour_start_utc
            and crossings.line_id = entrance_lines.line_id
    left join staff
        on
            crossings.site_id = staff.site_id
            and crossings.tracklet_id = staff.tracklet_id

)

select * from final
