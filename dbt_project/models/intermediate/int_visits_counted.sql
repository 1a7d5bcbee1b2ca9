-- Grain: one row per site, zone, unit and local hour in which a visit began.
-- The dwell of a visit that was cut at either end is a lower bound: it enters no mean and no
-- percentile, and is no bounce. It is known not to be one where it lasted bounce_dwell_s.

{% set hour = 'site_id, zone_id, unit_id, hour_start_utc' %}

with

visits as (

    select * from {{ ref('stg_visits') }}

),

judged as (

    select
        *,
        not is_start_censored and not is_end_censored as is_timed,
        dwell_s < {{ var('bounce_dwell_s') }} as is_short,
        {{ microseconds('dwell_s') }} as dwell_us

    from visits

),

ranked as (

    select
        *,
        case
            when is_timed
                then row_number() over (partition by {{ hour }}, is_timed order by dwell_us)
        end as dwell_rank,
        count(*) over (partition by {{ hour }}, is_timed) as rank_count

    from judged

),

final as (

    select
        site_id,
        zone_id,
        unit_id,
        hour_start_utc,
        count(*) as visit_count,
        sum(dwell_us) as dwell_us,
        sum(case when is_timed then 1 else 0 end) as timed_visit_count,
        sum(case when is_timed then dwell_us else 0 end) as timed_dwell_us,
        {{ percentile_x100('dwell_us', 'dwell_rank', 'rank_count', 50) }} as median_dwell_us_x100,
        {{ percentile_x100('dwell_us', 'dwell_rank', 'rank_count', 90) }} as p90_dwell_us_x100,
        sum(case when is_timed and is_short then 1 else 0 end) as bounce_count,
        sum(case when is_timed or not is_short then 1 else 0 end) as bounce_visit_count

    from ranked
    group by site_id, zone_id, unit_id, hour_start_utc

)

select * from final
