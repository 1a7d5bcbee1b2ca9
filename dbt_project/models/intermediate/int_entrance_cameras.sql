-- Grain: one row per site, unit, local hour, entrance line and camera that sees the line then.
-- An entrance that no camera sees has one row with camera_id null: its people go uncounted.

with

entrance_lines as (

    select * from {{ ref('int_entrance_lines') }}

),

camera_sees as (

    select * from {{ ref('stg_space_camera_sees') }}

),

final as (

    select distinct
        entrance_lines.site_id,
        entrance_lines.unit_id,
        entrance_lines.hour_start_utc,
        entrance_lines.line_id,
        camera_sees.camera_id

    from entrance_lines
    left join camera_sees
        on
            entrance_lines.site_id = camera_sees.site_id
            and entrance_lines.line_id = camera_sees.sees_id
            and camera_sees.sees_kind = 'line'
            and {{ valid_at('camera_sees', 'entrance_lines.hour_start_utc') }}

)

select * from final
