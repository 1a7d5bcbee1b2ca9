-- Grain: one row per crossing of an entrance line of a unit, in the local hour it happened.

with

crossings as (

    select * from {{ ref('stg_line_crossings') }}

),

entrance_lines as (

    select * from {{ ref('int_entrance_lines') }}

),

final as (

    select
        crossings.site_id,
        crossings.unit_id,
        crossings.hour_start_utc,
        crossings.line_id,
        crossings.tracklet_id,
        crossings.at_utc,
        crossings.direction

    from crossings
    inner join entrance_lines
        on
            crossings.site_id = entrance_lines.site_id
            and crossings.unit_id = entrance_lines.unit_id
            and crossings.hour_start_utc = entrance_lines.hour_start_utc
            and crossings.line_id = entrance_lines.line_id

)

select * from final
