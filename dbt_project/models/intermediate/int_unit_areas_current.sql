-- Grain: one row per site and unit whose area is known in the last hour of the site's calendar.

with

areas as (

    select * from {{ ref('stg_space_area') }}

),

sites as (

    select * from {{ ref('int_sites') }}

),

ranked as (

    select
        areas.*,
        row_number() over (
            partition by areas.site_id, areas.unit_id
            order by
                case when areas.valid_from_utc is null then 0 else 1 end desc,
                areas.valid_from_utc desc
        ) as version_rank

    from areas
    inner join sites on areas.site_id = sites.site_id
    where
        sites.last_hour_start_utc is null
        or {{ valid_at('areas', 'sites.last_hour_start_utc') }}

),

final as (

    select
        site_id,
        unit_id,
        gla_m2,
        selling_m2

    from ranked
    where version_rank = 1

)

select * from final
