-- Grain: one row per site and unit.

with

source as (

    select * from {{ source('lake', 'space_unit') }}

),

final as (

    select
        site_id,
        unit_id,
        floor,
        name

    from source

)

select * from final
