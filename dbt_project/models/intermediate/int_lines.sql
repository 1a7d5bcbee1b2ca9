-- Grain: one row per site, unit and counting line, whether it still holds or not.
-- The version shown is the one of the last hour of the site's calendar, else its last.

with

lines as (

    select * from {{ ref('stg_space_line') }}

),

sites as (

    select * from {{ ref('int_sites') }}

),

ranked as (

    select
        lines.*,
        coalesce({{ valid_at('lines', 'sites.last_hour_start_utc') }}, false) as is_current,
        row_number() over (
            partition by lines.site_id, lines.unit_id, lines.line_id
            order by {{ version_order('lines', 'sites.last_hour_start_utc') }}
        ) as version_rank

    from lines
    inner join sites on lines.site_id = sites.site_id

),

final as (

    select
        site_id,
        unit_id,
        line_id,
        role,
        geometry_version,
        valid_from_utc,
        valid_to_utc,
        is_current

    from ranked
    where version_rank = 1

)

select * from final
