{{ config(meta={'dagster': {'ref': {'name': 'fct_conversion_daily'}}}) }}
-- A day holds exactly the matched hours of its business date.

with

hours as (

    select
        unit_key,
        business_date,
        sum(case when is_matched then ticket_count else 0 end) as ticket_count,
        sum(case when is_matched then entry_count else 0 end) as entry_count,
        sum(case when is_matched then net_entry_count else 0 end) as net_entry_count

    from {{ ref('fct_conversion_hourly') }}
    group by unit_key, business_date

),

days as (

    select * from {{ ref('fct_conversion_daily') }}

),

final as (

    select
        coalesce(hours.unit_key, days.unit_key) as unit_key,
        coalesce(hours.business_date, days.business_date) as business_date

    from hours
    full outer join days
        on
            hours.unit_key = days.unit_key
            and hours.business_date = days.business_date
    where
        hours.unit_key is null
        or days.unit_key is null
        or hours.ticket_count <> coalesce(days.ticket_count, 0)
        or hours.entry_count <> coalesce(days.entry_count, 0)
        or hours.net_entry_count <> coalesce(days.net_entry_count, 0)

)

select * from final
