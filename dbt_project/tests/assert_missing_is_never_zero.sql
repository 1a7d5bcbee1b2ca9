{{ config(meta={'dagster': {'ref': {'name': 'fct_conversion_hourly'}}}) }}
-- A count, zero included, stands only where something was observed; a rate is null only with a
-- reason.

with

completeness as (

    select
        unit_key,
        hour_start_utc,
        max(case when source_kind = 'camera' then observed_any_s else 0 end) as seen_s,
        max(case when source_kind = 'feed' then observed_any_s else 0 end) as fed_s

    from {{ ref('fct_data_completeness_hourly') }}
    group by unit_key, hour_start_utc

),

conversion as (

    select * from {{ ref('fct_conversion_hourly') }}

),

final as (

    select
        conversion.unit_key,
        conversion.hour_start_utc

    from conversion
    left join completeness
        on
            conversion.unit_key = completeness.unit_key
            and conversion.hour_start_utc = completeness.hour_start_utc
    where
        (conversion.entry_count is not null and coalesce(completeness.seen_s, 0) = 0)
        or (conversion.ticket_count is not null and coalesce(completeness.fed_s, 0) = 0)
        or (conversion.conversion_rate is null and conversion.reason is null)

)

select * from final
