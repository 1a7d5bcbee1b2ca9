-- Grain: one row per site, unit and local hour, with net entries by the hour of paying.
-- Entries move on to later hours of the same opening, as long as people take (see lag.sql); what
-- would pass its end stays in its last hour, so a day has as many as before. In a closed hour they
-- stay. Null: an hour that some of them come from was not measured.

{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected(
        ['site_id', 'unit_id', 'business_date'], 'int_affected_unit_dates'
    ) }}"
) }}

with

affected as (

    select * from {{ ref('int_affected_unit_dates') }}

),

hours as (

    select *

    from {{ ref('fct_traffic_hourly') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'business_date']) }}

),

lags as (

    {{ ticket_lags() }}

),

placed as (

    select
        *,
        row_number() over (
            partition by site_id, unit_id, business_date
            order by hour_start_utc
        ) as place,
        row_number() over (
            partition by site_id, unit_id, business_date, is_open
            order by hour_start_utc
        ) as place_of_kind

    from hours

),

-- an opening is a run of open hours: in it, both places grow alike
openings as (

    select
        *,
        place - place_of_kind as opening,
        max(place) over (
            partition by site_id, unit_id, business_date, is_open, place - place_of_kind
        ) as last_place

    from placed

),

moved as (

    select
        openings.site_id,
        openings.unit_id,
        openings.business_date,
        openings.net_entry_count * lags.weight as weighted_count,
        case when openings.basis = 'measured' then 1 else 0 end as is_measured,
        case
            when openings.place + lags.hours_later > openings.last_place
                then openings.last_place
            else openings.place + lags.hours_later
        end as place

    from openings
    cross join lags
    where openings.is_open

),

summed as (

    select
        site_id,
        unit_id,
        business_date,
        place,
        sum(weighted_count) as weighted_count,
        min(is_measured) as is_measured

    from moved
    group by site_id, unit_id, business_date, place

),

final as (

    select
        openings.site_id,
        openings.unit_id,
        openings.hour_start_utc,
        openings.business_date,
        case
            when not openings.is_open then {{ as_double('openings.net_entry_count') }}
            when summed.is_measured = 0 then null
            -- nobody who came could have paid yet
            else {{ ratio('coalesce(summed.weighted_count, 0)', ticket_lag_whole()) }}
        end as net_entry_count_lagged

    from openings
    left join summed
        on
            openings.site_id = summed.site_id
            and openings.unit_id = summed.unit_id
            and openings.business_date = summed.business_date
            and openings.place = summed.place

)

select * from final
