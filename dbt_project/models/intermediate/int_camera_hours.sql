-- Grain: one row per site, camera and local hour, whether the camera sent anything or not.
-- A span of coverage counts with the share of it that was decoded (observed_s / expected_s); the
-- spans of one camera are disjoint, so they add up.

{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected(['site_id', 'hour_start_utc']) }}"
) }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

camera_sees as (

    select * from {{ ref('stg_space_camera_sees') }}

),

coverage as (

    select *

    from {{ ref('int_coverage_days') }} as every_coverage
    {{ where_span_affected('every_coverage') }}

),

span_days as (

    select *

    from {{ ref('int_hour_span_days') }} as every_span
    {{ where_affected('every_span', ['site_id', 'hour_start_utc']) }}

),

cameras as (

    select distinct
        site_id,
        camera_id

    from camera_sees

),

camera_spans as (

    select
        span_days.site_id,
        cameras.camera_id,
        span_days.hour_start_utc,
        span_days.span_kind,
        span_days.from_utc,
        max(span_days.span_us) as span_us,
        min(case when coverage.status <> 'complete' then coverage.reason end) as reason,
        sum(
            {{ whole_number('coverage.observed_share * ' ~ overlap_us(
                'coverage.from_utc', 'coverage.to_utc', 'span_days.from_utc', 'span_days.to_utc'
            )) }}
        ) as observed_us

    from span_days
    inner join cameras on span_days.site_id = cameras.site_id
    left join coverage
        on
            span_days.site_id = coverage.site_id
            and span_days.day_utc = coverage.day_utc
            and span_days.from_utc < coverage.to_utc
            and span_days.to_utc > coverage.from_utc
            and cameras.camera_id = coverage.source_id
            and coverage.source_kind = 'camera'
    group by
        span_days.site_id,
        cameras.camera_id,
        span_days.hour_start_utc,
        span_days.span_kind,
        span_days.from_utc

),

camera_hours as (

    select
        site_id,
        camera_id,
        hour_start_utc,
        min(reason) as coverage_reason,
        sum(case when span_kind = 'open' then span_us else 0 end) as expected_us,
        sum(case when span_kind = 'open' then coalesce(observed_us, 0) else 0 end) as observed_us,
        sum(case when span_kind = 'whole' then coalesce(observed_us, 0) else 0 end)
            as observed_any_us

    from camera_spans
    group by site_id, camera_id, hour_start_utc

),

final as (

    select
        site_id,
        camera_id,
        hour_start_utc,
        {{ seconds('expected_us') }} as expected_s,
        {{ seconds('observed_us') }} as observed_s,
        {{ seconds('observed_any_us') }} as observed_any_s,
        {{ share('observed_us', 'expected_us') }} as completeness,
        coverage_reason

    from camera_hours

)

select * from final
