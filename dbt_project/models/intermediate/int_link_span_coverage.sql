-- Grain: one row per site, unit, connector, ext_ref_code, local hour in which the code is linked to
-- the unit, and piece of that hour (see int_hour_spans).
-- Feeds are asked again for the same hours, so answers overlap: observed is the union of the
-- complete answers, never their sum. An answer that left the hour out was an answer all the same,
-- and a request that failed was none.

{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected(['site_id', 'unit_id', 'hour_start_utc']) }}"
) }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

coverage as (

    select *

    from {{ ref('int_coverage_days') }} as every_coverage
    {{ where_span_affected('every_coverage') }}

),

link_spans as (

    select *

    from {{ ref('int_link_spans') }} as every_link_span
    {{ where_affected('every_link_span', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

answered as (

    select
        link_spans.*,
        coverage.reason,
        coverage.fetched_at_utc,
        coverage.status = 'complete' as is_complete,
        coverage.status in ('complete', 'silent') as is_answer,
        greatest(coverage.from_utc, link_spans.from_utc) as answered_from_utc,
        least(coverage.to_utc, link_spans.to_utc) as answered_to_utc

    from link_spans
    left join coverage
        on
            link_spans.connector_id = coverage.source_id
            and link_spans.ext_ref_code = coverage.source_key
            and link_spans.day_utc = coverage.day_utc
            and link_spans.from_utc < coverage.to_utc
            and link_spans.to_utc > coverage.from_utc
            and coverage.source_kind = 'feed'
            and (coverage.site_id is null or link_spans.site_id = coverage.site_id)

),

ordered as (

    select
        *,
        max(case when is_complete then answered_to_utc end) over (
            partition by
                site_id,
                unit_id,
                connector_id,
                ext_ref_code,
                hour_start_utc,
                span_kind,
                from_utc
            order by answered_from_utc, answered_to_utc
            rows between unbounded preceding and 1 preceding
        ) as answered_until_utc

    from answered

),

pieces as (

    select
        *,
        case
            when is_complete is null or not is_complete then 0
            when answered_until_utc is null or answered_until_utc <= answered_from_utc
                then {{ microseconds_between('answered_from_utc', 'answered_to_utc') }}
            when answered_until_utc < answered_to_utc
                then {{ microseconds_between('answered_until_utc', 'answered_to_utc') }}
            else 0
        end as newly_answered_us

    from ordered

),

final as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        hour_end_utc,
        span_kind,
        from_utc,
        max(span_us) as span_us,
        {{ as_bigint('coalesce(sum(newly_answered_us), 0)') }} as observed_us,
        min(case when not is_complete then reason end) as reason,
        max(case when is_answer then fetched_at_utc end) as last_fetched_at_utc

    from pieces
    group by
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        hour_end_utc,
        span_kind,
        from_utc

)

select * from final
