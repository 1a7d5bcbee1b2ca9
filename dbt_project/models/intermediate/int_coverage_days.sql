-- Grain: one row per span of coverage and UTC day that it touches, cut to that day.
-- The day is there to join by: chunks and hours meet by day first, then by overlap. A join by
-- overlap alone compares every chunk with every hour of the calendar.
-- span_from_utc and span_to_utc are those of the whole span: where_span_affected asks by them, so
-- that engines leave spans out before they spread them.

with

coverage as (

    select * from {{ ref('stg_coverage') }}

),

day_numbers as (

    select * from {{ ref('int_day_numbers') }}

),

spread as (

    select
        coverage.*,
        {{ days_after('cast(coverage.from_utc as date)', 'day_numbers.day_number') }} as day_from,
        {{ days_after('cast(coverage.from_utc as date)', 'day_numbers.day_number + 1') }} as day_to

    from coverage
    {{ join_day_numbers('coverage.from_utc', 'coverage.to_utc') }}

),

dated as (

    select
        *,
        cast(day_from as date) as day_utc,
        {{ as_timestamp('day_from') }} as day_from_utc,
        {{ as_timestamp('day_to') }} as day_to_utc

    from spread

),

final as (

    select
        site_id,
        source_kind,
        source_id,
        source_key,
        day_utc,
        greatest(from_utc, day_from_utc) as from_utc,
        least(to_utc, day_to_utc) as to_utc,
        from_utc as span_from_utc,
        to_utc as span_to_utc,
        status,
        reason,
        coalesce({{ share('observed_s', 'expected_s') }}, 0) as observed_share,
        fetched_at_utc

    from dated

)

select * from final
