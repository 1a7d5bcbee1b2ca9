-- Grain: one row per site with a staff rule.

with

source as (

    select * from {{ source('lake', 'space_staff') }}

),

final as (

    select
        site_id,
        min_s

    from source

)

select * from final
