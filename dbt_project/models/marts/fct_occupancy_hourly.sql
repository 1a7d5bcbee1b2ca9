-- Grain: one row per site, unit and local hour.
-- Who is inside is who entered less who left since the business day began, when nobody was.

{{ config(
    pre_hook="{{ delete_affected(
        ['site_id', 'unit_id', 'business_date'], 'int_affected_unit_dates'
    ) }}"
) }}

with

affected as (

    select * from {{ ref('int_affected_unit_dates') }}

),

balances as (

    select *

    from {{ ref('int_unit_balances') }} as every_hour
    {{ where_affected('every_hour', ['site_id', 'unit_id', 'business_date']) }}

),

floors as (

    select *

    from {{ ref('int_whole_floor_hours') }} as every_floor
    {{ where_affected('every_floor', ['site_id', 'unit_id', 'business_date']) }}

),

site_hours as (

    select * from {{ ref('int_site_hours') }}

),

last_dates as (

    select
        site_id,
        max(business_date) as last_business_date

    from site_hours
    group by site_id

),

joined as (

    select
        balances.*,
        balances.business_date < last_dates.last_business_date as is_over,
        floors.person_us,
        floors.timed_dwell_us,
        floors.timed_visit_count,
        floors.hour_us,
        case
            when not balances.is_open then 'closed'
            when floors.site_id is null then 'no_whole_floor_zone'
            when balances.basis <> 'measured' then balances.reason
            when floors.basis <> 'measured' then floors.reason
            when floors.timed_visit_count = 0 then 'no_visits'
        end as little_reason,
        case
            when balances.unknown_so_far > 0 then null
            when balances.is_open or balances.entry_count is not null
                then balances.entries_so_far - balances.exits_so_far
        end as occupancy

    from balances
    inner join last_dates on balances.site_id = last_dates.site_id
    left join floors
        on
            balances.site_id = floors.site_id
            and balances.unit_id = floors.unit_id
            and balances.hour_start_utc = floors.hour_start_utc

),

drifted as (

    select
        *,
        case
            when day_open_hours = 0 then 'closed'
            when day_reason is not null then day_reason
            when not is_over then 'not_yet_over'
        end as drift_reason,
        case when little_reason is null then {{ ratio('person_us', 'hour_us') }} end
            as measured_occupancy,
        case
            when little_reason is null
                then {{ ratio('entry_count * timed_dwell_us', 'timed_visit_count * hour_us') }}
        end as little_occupancy

    from joined

),

corrected as (

    select
        *,
        case when drift_reason is null then day_entries - day_exits end as residual_count,
        -- exits times day_entries / day_exits, so that the day ends with nobody
        case
            when drift_reason is null and occupancy is not null
                then {{ ratio(
                    'entries_so_far * day_exits - exits_so_far * day_entries', 'day_exits'
                ) }}
        end as spread_occupancy,
        {{ ratio('abs(measured_occupancy - little_occupancy)', 'measured_occupancy') }}
            as little_deviation_rate

    from drifted

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
        entry_count,
        exit_count,
        {{ as_bigint('occupancy') }} as occupancy,
        case when spread_occupancy < 0 then 0 else spread_occupancy end as occupancy_corrected,
        {{ as_bigint('residual_count') }} as residual_count,
        {{ ratio('residual_count', 'day_entries') }} as drift_rate,
        drift_reason,
        measured_occupancy,
        little_occupancy,
        little_deviation_rate,
        case
            when measured_occupancy = 0 then little_occupancy > 0
            else little_deviation_rate > {{ var('little_deviation') }}
        end as is_little_off,
        little_reason,
        case when is_open then completeness_so_far end as completeness,
        case
            when occupancy is null then 'missing'
            when is_open and reason_so_far is null then 'measured'
            else 'partial'
        end as basis,
        case when is_open then reason_so_far else 'closed' end as reason,
        not is_over as is_provisional,
        {{ as_timestamp('null') }} as as_of_utc,
        'occupancy.gross.v1' as metric_version

    from corrected

)

select * from final
