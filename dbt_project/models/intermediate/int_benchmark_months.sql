-- Grain: one row per site and month of its calendar's business dates.

with

site_hours as (

    select * from {{ ref('int_site_hours') }}

),

site_days as (

    select distinct
        site_id,
        business_date,
        {{ month_of('business_date') }} as month_start

    from site_hours

),

counted as (

    select
        site_id,
        month_start,
        count(*) as day_count

    from site_days
    group by site_id, month_start

),

last_months as (

    select
        site_id,
        max(month_start) as last_month_start

    from counted
    group by site_id

),

final as (

    select
        counted.site_id,
        counted.month_start,
        counted.day_count,
        counted.month_start < last_months.last_month_start as is_over

    from counted
    inner join last_months on counted.site_id = last_months.site_id

)

select * from final
