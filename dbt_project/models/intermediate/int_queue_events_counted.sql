-- Grain: one row per site, queue zone, unit and local hour in which somebody came to the queue.
-- A wait that was not seen whole (is_censored) is a lower bound, and enters no mean and no
-- percentile.

{% set hour = 'site_id, zone_id, unit_id, hour_start_utc' %}

with

events as (

    select * from {{ ref('stg_queue_events') }}

),

judged as (

    select
        *,
        is_join and outcome = 'served' as is_served,
        is_join and outcome = 'abandoned' as is_abandoned,
        {{ microseconds('wait_s') }} as wait_us

    from events

),

timed as (

    select
        *,
        is_served and not is_censored as is_timed_served,
        (is_served or is_abandoned) and not is_censored as is_timed_join

    from judged

),

ranked as (

    select
        *,
        {% for wait in ['served', 'join'] %}
            case
                when is_timed_{{ wait }}
                    then row_number() over (
                        partition by {{ hour }}, is_timed_{{ wait }} order by wait_us
                    )
            end as {{ wait }}_rank,
            count(*) over (partition by {{ hour }}, is_timed_{{ wait }}) as {{ wait }}_rank_count
            {%- if not loop.last %},{% endif %}
        {% endfor %}

    from timed

),

final as (

    select
        site_id,
        zone_id,
        unit_id,
        hour_start_utc,
        sum(case when is_served or is_abandoned then 1 else 0 end) as join_count,
        sum(case when is_served then 1 else 0 end) as served_count,
        sum(case when is_abandoned then 1 else 0 end) as abandoned_count,
        sum(case when outcome = 'balked' then 1 else 0 end) as balked_count,
        sum(case when outcome = 'served' and not is_join then 1 else 0 end) as unqueued_count,
        sum(case when outcome is null or is_join is null then 1 else 0 end) as unknown_count,
        sum(case when is_timed_served then 1 else 0 end) as timed_served_count,
        sum(case when is_timed_served then wait_us else 0 end) as served_wait_us,
        {{ percentile_x100('wait_us', 'served_rank', 'served_rank_count', 90) }}
            as p90_served_wait_us_x100,
        sum(case when is_timed_join then 1 else 0 end) as timed_join_count,
        sum(case when is_timed_join then wait_us else 0 end) as join_wait_us,
        {{ percentile_x100('wait_us', 'join_rank', 'join_rank_count', 90) }}
            as p90_join_wait_us_x100

    from ranked
    group by site_id, zone_id, unit_id, hour_start_utc

)

select * from final
