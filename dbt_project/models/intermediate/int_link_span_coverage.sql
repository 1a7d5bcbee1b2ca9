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

links as (

    select * from {{ ref('stg_space_link') }}

),

linked_codes as (

    select distinct
        site_id,
        connector_id,
        ext_ref_code

    from links

),

answers as (

    select
        linked_codes.site_id,
        linked_codes.connector_id,
        linked_codes.ext_ref_code,
        coverage.day_utc,
        coverage.from_utc,
        coverage.to_utc,
        coverage.reason,
        coverage.fetched_at_utc,
        coverage.status = 'complete' as is_complete,
        coverage.status in ('complete', 'silent') as is_answer

    from coverage
    inner join linked_codes
        on
            coverage.source_id = linked_codes.connector_id
            and coverage.source_key = linked_codes.ext_ref_code
            and (coverage.site_id is null or coverage.site_id = linked_codes.site_id)
    where coverage.source_kind = 'feed'

),

-- by code and day: there are many more pieces of hours than answers
ordered as (

    select
        *,
        max(case when is_complete then to_utc end) over (
            partition by site_id, connector_id, ext_ref_code, day_utc
            order by from_utc, to_utc
            rows between unbounded preceding and 1 preceding
        ) as answered_until_utc

    from answers

),

fresh as (

    select
        *,
        case
            when answered_until_utc > from_utc then answered_until_utc
            else from_utc
        end as fresh_from_utc

    from ordered

),

pieces as (

    select
        link_spans.*,
        fresh.reason,
        fresh.fetched_at_utc,
        fresh.is_complete,
        fresh.is_answer,
        case
            when fresh.is_complete and fresh.fresh_from_utc < fresh.to_utc
                then {{ overlap_us(
                    'fresh.fresh_from_utc', 'fresh.to_utc',
                    'link_spans.from_utc', 'link_spans.to_utc'
                ) }}
            else 0
        end as newly_answered_us

    from link_spans
    left join fresh
        on
            link_spans.site_id = fresh.site_id
            and link_spans.connector_id = fresh.connector_id
            and link_spans.ext_ref_code = fresh.ext_ref_code
            and link_spans.day_utc = fresh.day_utc
            and link_spans.from_utc < fresh.to_utc
            and link_spans.to_utc > fresh.from_utc

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
