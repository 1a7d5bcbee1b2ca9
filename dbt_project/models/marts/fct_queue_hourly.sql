-- Grain: one row per site, queue zone, unit and local hour in which the zone is a queue.
-- Null means not observed, or not to be known; 0 means observed and nobody queued.

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

service_hours as (

    select *

    from {{ ref('int_queue_service_hours') }} as every_service_hours
    {{ where_affected('every_service_hours', ['site_id', 'hour_start_utc']) }}

),

counted as (

    select *

    from {{ ref('int_queue_events_counted') }} as every_counted
    {{ where_affected('every_counted', ['site_id', 'hour_start_utc']) }}

),

spans as (

    select *

    from {{ ref('int_hour_spans') }} as every_span
    {{ where_affected('every_span', ['site_id', 'hour_start_utc']) }}

),

zone_hours as (

    select *

    from {{ ref('int_zone_hours') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'hour_start_utc']) }}

),

waits as (

    select * from {{ ref('int_queue_waits') }}

),

cameras as (

    select
        zone_cameras.site_id,
        zone_cameras.zone_id,
        zone_cameras.unit_id,
        zone_cameras.hour_start_utc,
        min(camera_hours.completeness) as completeness,
        max(camera_hours.observed_any_s) as observed_any_s,
        min(camera_hours.coverage_reason) as coverage_reason

    from zone_cameras
    inner join camera_hours
        on
            zone_cameras.site_id = camera_hours.site_id
            and zone_cameras.camera_id = camera_hours.camera_id
            and zone_cameras.hour_start_utc = camera_hours.hour_start_utc
    group by
        zone_cameras.site_id,
        zone_cameras.zone_id,
        zone_cameras.unit_id,
        zone_cameras.hour_start_utc

),

waiting as (

    select
        waits.site_id,
        waits.zone_id,
        waits.unit_id,
        spans.hour_start_utc,
        sum({{ overlap_us(
            'waits.joined_at_utc', 'waits.ended_at_utc', 'spans.from_utc', 'spans.to_utc'
        ) }}) as waiting_us

    from waits
    inner join spans
        on
            waits.site_id = spans.site_id
            and waits.joined_at_utc < spans.to_utc
            and waits.ended_at_utc > spans.from_utc
            and spans.span_kind = 'whole'
    group by waits.site_id, waits.zone_id, waits.unit_id, spans.hour_start_utc

),

joined as (

    select
        zone_hours.*,
        cameras.coverage_reason,
        cameras.site_id is not null as has_camera,
        coalesce(cameras.observed_any_s, 0) > 0 as is_observed,
        coalesce(cameras.observed_any_s, 0) > 0 and service_hours.site_id is not null
            as is_end_observed,
        cameras.observed_any_s,
        coalesce(counted.join_count, 0) as join_count,
        coalesce(counted.served_count, 0) as served_count,
        coalesce(counted.abandoned_count, 0) as abandoned_count,
        coalesce(counted.balked_count, 0) as balked_count,
        coalesce(counted.unqueued_count, 0) as unqueued_count,
        coalesce(counted.unknown_count, 0) as unknown_count,
        coalesce(counted.timed_served_count, 0) as timed_served_count,
        coalesce(counted.served_wait_us, 0) as served_wait_us,
        coalesce(counted.timed_join_count, 0) as timed_join_count,
        coalesce(counted.join_wait_us, 0) as join_wait_us,
        counted.p90_served_wait_us_x100,
        counted.p90_join_wait_us_x100,
        coalesce(waiting.waiting_us, 0) as waiting_us,
        case when zone_hours.is_open then coalesce(cameras.completeness, 0) end as completeness

    from zone_hours
    left join cameras
        on
            zone_hours.site_id = cameras.site_id
            and zone_hours.zone_id = cameras.zone_id
            and zone_hours.unit_id = cameras.unit_id
            and zone_hours.hour_start_utc = cameras.hour_start_utc
    left join service_hours
        on
            zone_hours.site_id = service_hours.site_id
            and zone_hours.zone_id = service_hours.zone_id
            and zone_hours.unit_id = service_hours.unit_id
            and zone_hours.hour_start_utc = service_hours.hour_start_utc
    left join counted
        on
            zone_hours.site_id = counted.site_id
            and zone_hours.zone_id = counted.zone_id
            and zone_hours.unit_id = counted.unit_id
            and zone_hours.hour_start_utc = counted.hour_start_utc
    left join waiting
        on
            zone_hours.site_id = waiting.site_id
            and zone_hours.zone_id = waiting.zone_id
            and zone_hours.unit_id = waiting.unit_id
            and zone_hours.hour_start_utc = waiting.hour_start_utc
    where zone_hours.role = 'queue'

),

based as (

    select
        *,
        case
            when not is_end_observed then 'missing'
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
        case when is_end_observed then {{ as_bigint('join_count') }} end as join_count,
        case when is_end_observed then {{ as_bigint('served_count') }} end as served_count,
        case when is_end_observed then {{ as_bigint('abandoned_count') }} end as abandoned_count,
        case when is_end_observed then {{ as_bigint('balked_count') }} end as balked_count,
        case when is_end_observed then {{ as_bigint('unqueued_count') }} end as unqueued_count,
        case when is_observed then {{ as_bigint('unknown_count') }} end as unknown_count,
        case when is_end_observed then {{ ratio('abandoned_count', 'join_count') }} end
            as abandonment_rate,
        case when is_end_observed then {{ as_bigint('timed_served_count') }} end
            as timed_served_count,
        case when is_end_observed then {{ seconds('served_wait_us') }} end as served_wait_s_sum,
        case
            when is_end_observed
                then {{ ratio(seconds('served_wait_us'), 'timed_served_count') }}
        end as mean_served_wait_s,
        case when is_end_observed then {{ ratio('p90_served_wait_us_x100', '100000000') }} end
            as p90_served_wait_s,
        case when is_end_observed then {{ as_bigint('timed_join_count') }} end as timed_join_count,
        case when is_end_observed then {{ seconds('join_wait_us') }} end as join_wait_s_sum,
        case
            when is_end_observed then {{ ratio(seconds('join_wait_us'), 'timed_join_count') }}
        end as mean_join_wait_s,
        case when is_end_observed then {{ ratio('p90_join_wait_us_x100', '100000000') }} end
            as p90_join_wait_s,
        case when is_observed then {{ seconds('waiting_us') }} end as waiting_s,
        case when is_observed then {{ ratio(seconds('waiting_us'), 'observed_any_s') }} end
            as mean_queue_length,
        completeness,
        basis,
        case
            when basis = 'measured' then null
            when not is_open then 'closed'
            when not has_camera then 'no_zone_camera'
            when is_observed and not is_end_observed then 'no_service_camera'
            else coalesce(coverage_reason, 'camera_silent')
        end as reason,
        false as is_provisional,
        {{ as_timestamp('null') }} as as_of_utc,
        'queue.gross.v1' as metric_version

    from based

)

select * from final
