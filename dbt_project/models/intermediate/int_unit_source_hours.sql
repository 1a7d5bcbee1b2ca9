-- Grain: one row per site, unit, source_kind, source_id, source_key and local hour.
-- Sources of a unit are the cameras that see one of its entrance lines and the ticket codes linked
-- to it, each whether it sent anything or not.

with

entrance_cameras as (

    select * from {{ ref('int_entrance_cameras') }}

),

camera_hours as (

    select * from {{ ref('int_camera_hours') }}

),

link_hours as (

    select * from {{ ref('int_link_hours') }}

),

unit_cameras as (

    select distinct
        site_id,
        unit_id,
        hour_start_utc,
        camera_id

    from entrance_cameras
    where camera_id is not null

),

cameras as (

    select
        unit_cameras.site_id,
        unit_cameras.unit_id,
        unit_cameras.hour_start_utc,
        'camera' as source_kind,
        unit_cameras.camera_id as source_id,
        '' as source_key,
        camera_hours.expected_s,
        camera_hours.observed_s,
        camera_hours.observed_any_s,
        camera_hours.completeness,
        camera_hours.coverage_reason,
        'camera_silent' as silent_reason,
        {{ as_timestamp('null') }} as last_fetched_at_utc,
        false as is_provisional

    from unit_cameras
    inner join camera_hours
        on
            unit_cameras.site_id = camera_hours.site_id
            and unit_cameras.camera_id = camera_hours.camera_id
            and unit_cameras.hour_start_utc = camera_hours.hour_start_utc

),

feeds as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        'feed' as source_kind,
        connector_id as source_id,
        ext_ref_code as source_key,
        expected_s,
        observed_s,
        observed_any_s,
        completeness,
        coverage_reason,
        'feed_silent' as silent_reason,
        last_fetched_at_utc,
        is_provisional

    from link_hours

),

final as (

    select * from cameras
    union all
    select * from feeds

)

select * from final
