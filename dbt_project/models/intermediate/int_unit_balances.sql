-- Grain: one row per site, unit and local hour, with its entries and exits so far in the business
-- day and over the whole of it. Everybody counts, staff included.
-- An open hour that was not watched whole leaves every balance after it in doubt. A closed one does
-- not: where nobody watched it, nobody is taken to have come or gone.

{% set day = 'partition by site_id, unit_id, business_date' %}
{% set so_far = day ~ ' order by hour_start_utc rows between unbounded preceding and current row' %}

with

traffic as (

    select * from {{ ref('fct_traffic_hourly') }}

),

judged as (

    select
        *,
        case when is_open then 1 else 0 end as is_open_hour,
        case when is_open and entry_count is null then 1 else 0 end as is_unknown,
        case when is_open and basis <> 'measured' then reason end as open_reason

    from traffic

),

final as (

    select
        unit_key,
        site_id,
        unit_id,
        hour_start_utc,
        local_hour,
        utc_offset_s,
        business_date,
        is_open,
        entry_count,
        exit_count,
        basis,
        reason,
        coalesce(sum(entry_count) over ({{ so_far }}), 0) as entries_so_far,
        coalesce(sum(exit_count) over ({{ so_far }}), 0) as exits_so_far,
        sum(is_unknown) over ({{ so_far }}) as unknown_so_far,
        min(completeness) over ({{ so_far }}) as completeness_so_far,
        min(open_reason) over ({{ so_far }}) as reason_so_far,
        coalesce(sum(entry_count) over ({{ day }}), 0) as day_entries,
        coalesce(sum(exit_count) over ({{ day }}), 0) as day_exits,
        min(open_reason) over ({{ day }}) as day_reason,
        sum(is_open_hour) over ({{ day }}) as day_open_hours

    from judged

)

select * from final
