-- Grain: one row per site, unit and business date.
-- Stages are counted, people are not followed from one to the next. All of them are counted over
-- the same hours, those in which every stage that the unit has was complete.

{{ config(
    pre_hook="{{ delete_affected(
        ['site_id', 'unit_id', 'business_date'], 'int_affected_unit_dates'
    ) }}"
) }}

{% set stages = ['outside', 'engaged', 'ticket'] %}

with

affected as (

    select * from {{ ref('int_affected_unit_dates') }}

),

hours as (

    select *

    from {{ ref('int_funnel_hours') }} as every_hour
    {{ where_affected(
        'every_hour', ['site_id', 'unit_id', 'business_date'], has_hours=true
    ) }}

),

engaged_visits as (

    select *

    from {{ ref('int_engaged_visits') }} as every_visit
    {{ where_affected(
        'every_visit', ['site_id', 'unit_id', 'business_date'], has_hours=true
    ) }}

),

matched as (

    select *

    from hours
    where unmatched_reason is null

),

engaged as (

    select
        matched.site_id,
        matched.unit_id,
        matched.business_date,
        count(
            distinct case
                when not (matched.is_net and engaged_visits.is_staff)
                    then engaged_visits.tracklet_id
            end
        ) as engaged_count

    from matched
    inner join engaged_visits
        on
            matched.site_id = engaged_visits.site_id
            and matched.unit_id = engaged_visits.unit_id
            and matched.hour_start_utc = engaged_visits.hour_start_utc
    group by matched.site_id, matched.unit_id, matched.business_date

),

summed as (

    select
        unit_key,
        site_id,
        unit_id,
        business_date,
        sum(case when unmatched_reason is null then outside_count end) as outside_sum,
        sum(case when unmatched_reason is null then net_entry_count end) as entry_sum,
        sum(case when unmatched_reason is null then ticket_count end) as ticket_sum,
        {% for stage in stages %}
            max(has_{{ stage }}_stage) as has_{{ stage }},
            min(case when is_open then {{ stage }}_reason end) as no_{{ stage }}_reason,
        {% endfor %}
        sum(case when unmatched_reason is null then 1 else 0 end) as matched_hours,
        sum(case when is_open then 1 else 0 end) as open_hours,
        sum(case when unmatched_reason is null then open_us else 0 end) as matched_us,
        sum(open_us) as open_us,
        min(case when is_open then unmatched_reason end) as unmatched_reason,
        max(case when is_open and is_provisional then 1 else 0 end) as is_provisional,
        min(case when is_net then 1 else 0 end) as is_net,
        max(case when unmatched_reason is null then as_of_utc end) as as_of_utc

    from hours
    group by unit_key, site_id, unit_id, business_date

),

counted as (

    select
        summed.*,
        summed.entry_sum as entry_count,
        {{ share('summed.matched_us', 'summed.open_us') }} as completeness,
        case when summed.has_outside = 1 then summed.outside_sum end as outside_count,
        true
        {% for unit_key in var('outside_without_entrants') %}
            and summed.unit_key <> '{{ unit_key }}'
        {% endfor %}
            as is_everybody_outside,
        case
            when summed.has_engaged = 1 and summed.matched_hours > 0
                then coalesce(engaged.engaged_count, 0)
        end as engaged_count,
        case when summed.has_ticket = 1 then summed.ticket_sum end as ticket_count

    from summed
    left join engaged
        on
            summed.site_id = engaged.site_id
            and summed.unit_id = engaged.unit_id
            and summed.business_date = engaged.business_date

),

passed as (

    select
        *,
        case
            when is_everybody_outside then outside_count - entry_count
            else outside_count
        end as passers_by_count

    from counted

),

final as (

    select
        unit_key,
        site_id,
        unit_id,
        business_date,
        {{ as_bigint('outside_count') }} as outside_count,
        case when has_outside = 1 then is_everybody_outside end as is_everybody_outside,
        {{ as_bigint('passers_by_count') }} as passers_by_count,
        {{ as_bigint('entry_count') }} as entry_count,
        {{ as_bigint('engaged_count') }} as engaged_count,
        {{ as_bigint('ticket_count') }} as ticket_count,
        case when is_everybody_outside then {{ ratio('entry_count', 'outside_count') }} end
            as enter_rate,
        {{ ratio('entry_count', 'passers_by_count + entry_count') }} as capture_rate_b,
        {{ ratio('engaged_count', 'entry_count') }} as engaged_rate,
        {{ ratio('ticket_count', 'engaged_count') }} as engaged_conversion_rate,
        {{ ratio('ticket_count', 'entry_count') }} as conversion_rate,
        {{ ratio('ticket_count', 'passers_by_count + entry_count') }} as end_to_end_rate,
        case
            when matched_hours > 0
                then coalesce(
                    passers_by_count < 0
                    or engaged_count > entry_count
                    or ticket_count > coalesce(engaged_count, entry_count),
                    false
                )
        end as is_over_previous_stage,
        {{ as_bigint('matched_hours') }} as matched_hours,
        {{ as_bigint('open_hours') }} as open_hours,
        completeness,
        case
            when matched_hours = 0 then 'missing'
            when completeness >= {{ var('completeness_complete') }} then 'measured'
            else 'partial'
        end as basis,
        case
            when open_hours = 0 then 'closed'
            when matched_hours = 0 or completeness < {{ var('completeness_complete') }}
                then unmatched_reason
            when entry_count = 0 then 'no_entries'
        end as reason,
        {% for stage in stages %}
            case
                when open_hours = 0 then 'closed'
                when has_{{ stage }} = 0 then no_{{ stage }}_reason
                when {{ stage }}_count is null then unmatched_reason
            end as {{ stage }}_reason,
        {% endfor %}
        is_provisional = 1 as is_provisional,
        as_of_utc,
        case when is_net = 1 then 'funnel.net.v1' else 'funnel.gross.v1' end as metric_version

    from passed

)

select * from final
