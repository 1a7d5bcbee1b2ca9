-- Grain: one row per unit, source_kind, source_id, source_key and local hour.
-- Sources of a unit are the cameras that see one of its entrance lines and the ticket codes linked
-- to it, each whether it sent anything or not.

{{ config(pre_hook="{{ delete_affected(['site_id', 'unit_id', 'hour_start_utc']) }}") }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

source_hours as (

    select *

    from {{ ref('int_unit_source_hours') }} as every_source_hour
    {{ where_affected('every_source_hour', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

unit_hours as (

    select *

    from {{ ref('int_unit_hours') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

classified as (

    select
        unit_hours.unit_key,
        unit_hours.local_hour,
        unit_hours.utc_offset_s,
        unit_hours.business_date,
        unit_hours.is_open,
        unit_hours.is_hours_known,
        source_hours.*,
        case
            when not unit_hours.is_open then 'closed'
            when source_hours.completeness >= {{ var('completeness_complete') }} then 'complete'
            when source_hours.completeness > 0 then 'partial'
            else 'missing'
        end as status

    from unit_hours
    inner join source_hours
        on
            unit_hours.site_id = source_hours.site_id
            and unit_hours.unit_id = source_hours.unit_id
            and unit_hours.hour_start_utc = source_hours.hour_start_utc

),

final as (

    select
        unit_key,
        site_id,
        unit_id,
        source_kind,
        source_id,
        source_key,
        hour_start_utc,
        local_hour,
        utc_offset_s,
        business_date,
        is_open,
        is_hours_known,
        expected_s,
        observed_s,
        observed_any_s,
        completeness,
        status,
        case
            when status = 'complete' then 'measured'
            when status = 'partial' then 'partial'
            when status = 'closed' and observed_any_s > 0 then 'partial'
            else 'missing'
        end as basis,
        case
            when status = 'closed' then 'closed'
            when status <> 'complete' then coalesce(coverage_reason, silent_reason)
        end as reason,
        last_fetched_at_utc,
        is_provisional,
        {{ as_timestamp('null') }} as as_of_utc,
        'completeness.v1' as metric_version

    from classified

)

select * from final
