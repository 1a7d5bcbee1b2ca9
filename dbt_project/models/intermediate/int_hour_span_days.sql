-- Grain: one row per piece of a local hour (see int_hour_spans) and UTC day that it touches.
-- Two days where the hour runs over midnight UTC, as at +05:45. The piece itself is not cut.

with

hour_spans as (

    select * from {{ ref('int_hour_spans') }}

),

first_days as (

    select
        *,
        cast(from_utc as date) as day_utc

    from hour_spans

),

second_days as (

    select
        *,
        cast(to_utc as date) as day_utc

    from hour_spans
    where cast(to_utc as date) <> cast(from_utc as date)

),

final as (

    select * from first_days
    union all
    select * from second_days

)

select * from final
