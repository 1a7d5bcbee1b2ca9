-- Grain: one row per site.

with

source as (

    select * from {{ source('lake', 'space_site') }}

),

final as (

    select
        site_id,
        name,
        timezone,
        currency,
        business_day_start,
        space_version

    from source

)

select * from final
