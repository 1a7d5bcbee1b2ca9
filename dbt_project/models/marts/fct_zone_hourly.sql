-- Grain: one row per site, zone, unit and local hour in which the zone is valid.
-- Null means not observed; 0 means observed and nobody came.

{{ config(pre_hook="{{ delete_affected(['site_id', 'hour_start_utc']) }}") }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

zone_cameras as (

    select *

    from {{ ref('int_zone_cameras') }} as every_zone_cameras
    {{ where_affected('every_zone_cameras', ['site_id', 'hour_start_utc']) }}

),

camera_hours as (

    select *

    from {{ ref('int_camera_hours') }} as every_camera_hours
    {{ where_affected('every_camera_hours', ['site_id', 'hour_start_utc']) }}

),

staff_cameras as (

    select *

    from {{ ref('int_staff_cameras') }} as every_staff_cameras
    {{ where_affected('every_staff_cameras', ['site_id', 'hour_start_utc']) }}

),

visits as (

    select *

    from {{ ref('int_visits_counted') }} as every_visits
    {{ where_affected('every_visits', ['site_id', 'hour_start_utc']) }}

),

occupancy as (

    select *

    from {{ ref('int_occupancy_summed') }} as every_occupancy
    {{ where_affected('every_occupancy', ['site_id', 'hour_start_utc']) }}

),

staffing as (

    select *

    from {{ ref('int_zone_staffing_summed') }} as every_staffing
    {{ where_affected('every_staffing', ['site_id', 'hour_start_utc']) }}

),

zone_hours as (

    select *

    from {{ ref('int_zone_hours') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'hour_start_utc']) }}

),

cameras as (

    select
        zone_cameras.site_id,
        zone_cameras.zone_id,
        zone_cameras.unit_id,
        zone_cameras.hour_start_utc,
        min(camera_hours.completeness) as completeness,
        max(camera_hours.observed_any_s) as observed_any_s,
        min(camera_hours.coverage_reason) as coverage_reason,
        min(case when staff_cameras.camera_id is null then 0 else 1 end) as sees_staff

    from zone_cameras
    inner join camera_hours
        on
            zone_cameras.site_id = camera_hours.site_id
            and zone_cameras.camera_id = camera_hours.camera_id
            and zone_cameras.hour_start_utc = camera_hours.hour_start_utc
    left join staff_cameras
        on
            zone_cameras.site_id = staff_cameras.site_id
            and zone_cameras.camera_id = staff_cameras.camera_id
            and zone_cameras.hour_start_utc = staff_cameras.hour_start_utc
    group by
        zone_cameras.site_id,
        zone_cameras.zone_id,
        zone_cameras.unit_id,
        zone_cameras.hour_start_utc

),

joined as (

    select
        zone_hours.*,
        visits.visit_count,
        visits.dwell_us,
        visits.timed_visit_count,
        visits.timed_dwell_us,
        visits.median_dwell_us_x100,
        visits.p90_dwell_us_x100,
        visits.bounce_count,
        visits.bounce_visit_count,
        occupancy.person_us,
        occupancy.max_occupancy,
        cameras.coverage_reason,
        cameras.site_id is not null as has_camera,
        coalesce(cameras.observed_any_s, 0) > 0 as is_observed,
        case
            when
                zone_hours.is_staffed
                and cameras.observed_any_s > 0
                and cameras.sees_staff = 1
                then coalesce(staffing.customer_us, 0)
        end as customer_us,
        coalesce(staffing.uncovered_us, 0) as uncovered_us,
        case when zone_hours.is_open then coalesce(cameras.completeness, 0) end as completeness

    from zone_hours
    left join cameras
        on
            zone_hours.site_id = cameras.site_id
            and zone_hours.zone_id = cameras.zone_id
            and zone_hours.unit_id = cameras.unit_id
            and zone_hours.hour_start_utc = cameras.hour_start_utc
    left join visits
        on
            zone_hours.site_id = visits.site_id
            and zone_hours.zone_id = visits.zone_id
            and zone_hours.unit_id = visits.unit_id
            and zone_hours.hour_start_utc = visits.hour_start_utc
    left join occupancy
        on
            zone_hours.site_id = occupancy.site_id
            and zone_hours.zone_id = occupancy.zone_id
            and zone_hours.unit_id = occupancy.unit_id
            and zone_hours.hour_start_utc = occupancy.hour_start_utc
    left join staffing
        on
            zone_hours.site_id = staffing.site_id
            and zone_hours.zone_id = staffing.zone_id
            and zone_hours.unit_id = staffing.unit_id
            and zone_hours.hour_start_utc = staffing.hour_start_utc

),

based as (

    select
        *,
        case
            when not is_observed then 'missing'
            when completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis

    from joined

),

final as (

    select
        unit_key,
        zone_key,
        site_id,
        zone_id,
        unit_id,
        hour_start_utc,
        local_hour,
        utc_offset_s,
        business_date,
        is_open,
        area_m2 as zone_area_m2,
        case when is_observed then {{ as_bigint('coalesce(visit_count, 0)') }} end as visit_count,
        case when is_observed then {{ seconds('coalesce(dwell_us, 0)') }} end as dwell_s_sum,
        case when is_observed then {{ as_bigint('coalesce(timed_visit_count, 0)') }} end
            as timed_visit_count,
        case when is_observed then {{ seconds('coalesce(timed_dwell_us, 0)') }} end
            as timed_dwell_s_sum,
        case when is_observed then {{ ratio(seconds('timed_dwell_us'), 'timed_visit_count') }} end
            as mean_dwell_s,
        case when is_observed then {{ ratio('median_dwell_us_x100', '100000000') }} end
            as median_dwell_s,
        case when is_observed then {{ ratio('p90_dwell_us_x100', '100000000') }} end as p90_dwell_s,
        case when is_observed then {{ ratio('visit_count - timed_visit_count', 'visit_count') }} end
            as censored_rate,
        case when is_observed then {{ as_bigint('coalesce(bounce_count, 0)') }} end
            as bounce_count,
        case when is_observed then {{ as_bigint('coalesce(bounce_visit_count, 0)') }} end
            as bounce_visit_count,
        case when is_observed then {{ ratio('bounce_count', 'bounce_visit_count') }} end
            as bounce_rate,
        case when is_observed then {{ seconds('coalesce(person_us, 0)') }} end as person_seconds,
        case when is_observed then {{ as_bigint('coalesce(max_occupancy, 0)') }} end
            as max_occupancy,
        {{ seconds('customer_us') }} as customer_s,
        case when customer_us is not null then {{ seconds('uncovered_us') }} end as uncovered_s,
        {{ ratio('customer_us - uncovered_us', 'customer_us') }} as staff_coverage_rate,
        completeness,
        basis,
        case
            when basis = 'measured' then null
            when not is_open then 'closed'
            when not has_camera then 'no_zone_camera'
            else coalesce(coverage_reason, 'camera_silent')
        end as reason,
        false as is_provisional,
        {{ as_timestamp('null') }} as as_of_utc,
        'zone.gross.v1' as metric_version

    from based

)

select * from final
