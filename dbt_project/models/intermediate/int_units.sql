-- Grain: one row per site and unit, with one more unit per site for its common area (_common).

with

units as (

    select * from {{ ref('stg_space_unit') }}

),

sites as (

    select * from {{ ref('int_sites') }}

),

named as (

    select
        site_id,
        unit_id,
        coalesce(name, unit_id) as unit_name,
        floor

    from units
    where unit_id <> '_common'

),

common as (

    select
        site_id,
        '_common' as unit_id,
        'common area' as unit_name,
        {{ as_string('null') }} as floor

    from sites

),

final as (

    select * from named
    union all
    select * from common

)

select * from final
