-- Grain: one row per site, unit, local hour and entrance line that is valid in that hour.

with

unit_hours as (

    select * from {{ ref('int_unit_hours') }}

),

lines as (

    select * from {{ ref('stg_space_line') }}

),

final as (

    select distinct
        unit_hours.site_id,
        unit_hours.unit_id,
        unit_hours.hour_start_utc,
        lines.line_id

    from unit_hours
    inner join lines
        on
            unit_hours.site_id = lines.site_id
            and unit_hours.unit_id = lines.unit_id
            and lines.role = 'entrance'
            and {{ valid_at('lines', 'unit_hours.hour_start_utc') }}

)

select * from final
