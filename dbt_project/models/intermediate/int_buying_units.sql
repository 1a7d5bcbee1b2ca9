-- Grain: one row per site, unit and business date with counted groups of visitors.
-- No row today: cameras count people, and nobody tells who belongs together. Conversion by buying
-- unit reads this relation, so that it needs no other definition once groups are counted.

with

units as (

    select * from {{ ref('stg_space_unit') }}

),

final as (

    select
        site_id,
        unit_id,
        cast(null as date) as business_date,
        {{ as_bigint('null') }} as buying_unit_count

    from units
    where 1 = 0

)

select * from final
