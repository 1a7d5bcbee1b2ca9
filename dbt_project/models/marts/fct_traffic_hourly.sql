-- Grain: one row per site, unit and local hour, whether anything was seen or not.
-- Null means not observed; 0 means observed and nobody came.

{{ config(pre_hook="{{ delete_affected(['site_id', 'unit_id', 'hour_start_utc']) }}") }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

completeness as (

    select *

    from {{ ref('fct_data_completeness_hourly') }} as every_completeness
    {{ where_affected('every_completeness', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

entrance_cameras as (

    select *

    from {{ ref('int_entrance_cameras') }} as every_entrance_cameras
    {{ where_affected('every_entrance_cameras', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

staff_cameras as (

    select *

    from {{ ref('int_staff_cameras') }} as every_staff_cameras
    {{ where_affected('every_staff_cameras', ['site_id', 'hour_start_utc']) }}

),

crossings as (

    select *

    from {{ ref('int_entrance_crossings') }} as every_crossing
    {{ where_affected('every_crossing', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

unit_hours as (

    select *

    from {{ ref('int_unit_hours') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

unseen_entrances as (

    select distinct
        site_id,
        unit_id,
        hour_start_utc,
        true as has_unseen_entrance

    from entrance_cameras
    where camera_id is null

),

cameras as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        min(completeness) as completeness,
        max(observed_any_s) as observed_any_s,
        min(reason) as reason

    from completeness
    where source_kind = 'camera'
    group by site_id, unit_id, hour_start_utc

),

staff_rules as (

    select
        entrance_cameras.site_id,
        entrance_cameras.unit_id,
        entrance_cameras.hour_start_utc,
        min(case when staff_cameras.camera_id is null then 0 else 1 end) as is_every_camera

    from entrance_cameras
    left join staff_cameras
        on
            entrance_cameras.site_id = staff_cameras.site_id
            and entrance_cameras.hour_start_utc = staff_cameras.hour_start_utc
            and entrance_cameras.camera_id = staff_cameras.camera_id
    where entrance_cameras.camera_id is not null
    group by
        entrance_cameras.site_id,
        entrance_cameras.unit_id,
        entrance_cameras.hour_start_utc

),

counted as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        sum(case when direction = 'in' then 1 else 0 end) as entry_count,
        sum(case when direction = 'in' and is_staff then 1 else 0 end) as staff_entry_count,
        sum(case when direction = 'out' then 1 else 0 end) as exit_count

    from crossings
    group by site_id, unit_id, hour_start_utc

),

joined as (

    select
        unit_hours.*,
        cameras.reason as camera_reason,
        cameras.site_id is null or unseen_entrances.has_unseen_entrance is not null
            as has_uncounted_entrance,
        case when cameras.observed_any_s > 0 then coalesce(counted.entry_count, 0) end
            as entry_count,
        coalesce(staff_rules.is_every_camera, 0) = 1 as is_net,
        case
            when cameras.observed_any_s > 0 and staff_rules.is_every_camera = 1
                then coalesce(counted.staff_entry_count, 0)
        end as staff_entry_count,
        case when cameras.observed_any_s > 0 then coalesce(counted.exit_count, 0) end
            as exit_count,
        case
            when not unit_hours.is_open then null
            when unseen_entrances.has_unseen_entrance is not null then 0
            else coalesce(cameras.completeness, 0)
        end as completeness

    from unit_hours
    left join cameras
        on
            unit_hours.site_id = cameras.site_id
            and unit_hours.unit_id = cameras.unit_id
            and unit_hours.hour_start_utc = cameras.hour_start_utc
    left join unseen_entrances
        on
            unit_hours.site_id = unseen_entrances.site_id
            and unit_hours.unit_id = unseen_entrances.unit_id
            and unit_hours.hour_start_utc = unseen_entrances.hour_start_utc
    left join staff_rules
        on
            unit_hours.site_id = staff_rules.site_id
            and unit_hours.unit_id = staff_rules.unit_id
            and unit_hours.hour_start_utc = staff_rules.hour_start_utc
    left join counted
        on
            unit_hours.site_id = counted.site_id
            and unit_hours.unit_id = counted.unit_id
            and unit_hours.hour_start_utc = counted.hour_start_utc

),

based as (

    select
        *,
        case
            when is_net then entry_count - staff_entry_count
            else entry_count
        end as net_entry_count,
        case
            when entry_count is null then 'missing'
            when completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis

    from joined

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
        {{ seconds('open_us') }} as open_s,
        {{ as_bigint('entry_count') }} as entry_count,
        {{ as_bigint('staff_entry_count') }} as staff_entry_count,
        {{ as_bigint('net_entry_count') }} as net_entry_count,
        {{ as_bigint('exit_count') }} as exit_count,
        case
            when is_open and basis = 'partial' then {{ ratio('entry_count', 'completeness') }}
            else {{ as_double('entry_count') }}
        end as entry_count_imputed,
        case
            when is_open and basis = 'partial' then {{ ratio('net_entry_count', 'completeness') }}
            else {{ as_double('net_entry_count') }}
        end as net_entry_count_imputed,
        completeness,
        basis,
        case
            when basis = 'measured' then null
            when not is_open then 'closed'
            when has_uncounted_entrance then 'no_entrance_camera'
            else coalesce(camera_reason, 'camera_silent')
        end as reason,
        false as is_provisional,
        {{ as_timestamp('null') }} as as_of_utc,
        case when is_net then 'traffic.net.v1' else 'traffic.gross.v1' end as metric_version

    from based

)

select * from final
