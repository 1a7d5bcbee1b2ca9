-- Grain: one row per site, unit and local hour with a zone that covers the unit's whole floor.
-- Which zones do is told by the variable whole_floor_zones: a polygon does not say how far the
-- floor goes. A unit with two of them has no row.

with

zones as (

    select *

    from {{ ref('fct_zone_hourly') }}
    where
        1 = 0
        {% for zone in var('whole_floor_zones') %}
            or site_id || '/' || zone_id = '{{ zone }}'
        {% endfor %}

),

unit_hours as (

    select * from {{ ref('int_unit_hours') }}

),

single as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        business_date,
        min(basis) as basis,
        min(reason) as reason,
        min({{ microseconds('person_seconds') }}) as person_us,
        min({{ microseconds('timed_dwell_s_sum') }}) as timed_dwell_us,
        min(timed_visit_count) as timed_visit_count

    from zones
    group by site_id, unit_id, hour_start_utc, business_date
    having count(*) = 1

),

final as (

    select
        single.site_id,
        single.unit_id,
        single.hour_start_utc,
        single.business_date,
        unit_hours.hour_us,
        single.basis,
        single.reason,
        single.person_us,
        single.timed_dwell_us,
        single.timed_visit_count

    from single
    inner join unit_hours
        on
            single.site_id = unit_hours.site_id
            and single.unit_id = unit_hours.unit_id
            and single.hour_start_utc = unit_hours.hour_start_utc
            and single.business_date = unit_hours.business_date

)

select * from final
