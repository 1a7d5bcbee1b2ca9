-- Grain: one row per site, unit, local hour, entrance line and camera that sees the line then; of
-- several versions of a line or a view that hold at once, a row each.
-- An entrance that no camera sees has one row with camera_id null: its people go uncounted. Not
-- distinct: who asks which units or cameras there are makes it so, once.

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

final as (

    select
        unit_hours.site_id,
        unit_hours.unit_id,
        unit_hours.hour_start_utc,
        lines.line_id,
        camera_sees.camera_id

    from unit_hours
    inner join lines
        on
            unit_hours.site_id = lines.site_id
            and unit_hours.unit_id = lines.unit_id
            and lines.role = 'entrance'
            and {{ valid_at('lines', 'unit_hours.hour_start_utc') }}
    left join camera_sees
        on
            lines.site_id = camera_sees.site_id
            and lines.line_id = camera_sees.sees_id
            and camera_sees.sees_kind = 'line'
            and {{ valid_at('camera_sees', 'unit_hours.hour_start_utc') }}

)

select * from final
