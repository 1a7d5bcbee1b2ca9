-- Grain: one row per site, unit, connector, ext_ref_code and local hour in which it is linked.

with

span_coverage as (

    select * from {{ ref('int_link_span_coverage') }}

),

link_hours as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        hour_end_utc,
        min(reason) as coverage_reason,
        max(last_fetched_at_utc) as last_fetched_at_utc,
        sum(case when span_kind = 'open' then span_us else 0 end) as expected_us,
        sum(case when span_kind = 'open' then observed_us else 0 end) as observed_us,
        sum(case when span_kind = 'whole' then span_us else 0 end) as hour_us,
        sum(case when span_kind = 'whole' then observed_us else 0 end) as observed_any_us

    from span_coverage
    group by site_id, unit_id, connector_id, ext_ref_code, hour_start_utc, hour_end_utc

),

final as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        {{ seconds('expected_us') }} as expected_s,
        {{ seconds('observed_us') }} as observed_s,
        {{ seconds('observed_any_us') }} as observed_any_s,
        {{ share('observed_us', 'expected_us') }} as completeness,
        observed_any_us >= hour_us as is_whole_hour_observed,
        coverage_reason,
        last_fetched_at_utc,
        last_fetched_at_utc is null
        or last_fetched_at_utc < {{ final_at('hour_end_utc', 'connector_id') }}
            as is_provisional

    from link_hours

)

select * from final
