-- Grain: one row per site and business date of the calendar.
-- Versions of areas and tenancies are those valid at begins_utc. Where opening hours are not known
-- the whole day counts as open.

with

site_hours as (

    select * from {{ ref('int_site_hours') }}

),

final as (

    select
        site_id,
        business_date,
        {{ month_of('business_date') }} as month_start,
        min(hour_start_utc) as begins_utc,
        {{ as_bigint('sum(open_us)') }} as open_us,
        min(case when is_hours_known then 1 else 0 end) = 1 as is_hours_known

    from site_hours
    group by site_id, business_date

)

select * from final
