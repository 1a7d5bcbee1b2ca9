-- Every current ticket row of a linked code belongs to one unit: no link counts it twice.

with

linked as (

    select * from {{ ref('int_unit_ticket_hours') }}

),

final as (

    select
        connector_id,
        ext_ref_code,
        hour_start_utc,
        count(distinct site_id || '/' || unit_id) as unit_count

    from linked
    group by connector_id, ext_ref_code, hour_start_utc
    having count(distinct site_id || '/' || unit_id) > 1

)

select * from final
