-- Grain: one row per site, unit and local hour, with what is known of each stage of its funnel.
-- A stage's reason is null where its source was complete. A unit has a stage on a day if in an open
-- hour it has the lines, the zones or the link, and cameras that see all of them; entries it must
-- have. An hour matches (unmatched_reason is null) where every stage of the day is complete; it is
-- net where every camera of its entrances and of the zones people engage in can tell staff.
-- Joined by business date too: marts ask for dates, and each side then computes only those.

with

traffic as (

    select * from {{ ref('fct_traffic_hourly') }}

),

sales as (

    select * from {{ ref('fct_sales_hourly') }}

),

outside_hours as (

    select * from {{ ref('int_outside_hours') }}

),

engaging_hours as (

    select * from {{ ref('int_engaging_hours') }}

),

joined as (

    select
        traffic.unit_key,
        traffic.site_id,
        traffic.unit_id,
        traffic.hour_start_utc,
        traffic.business_date,
        traffic.is_open,
        {{ microseconds('traffic.open_s') }} as open_us,
        traffic.metric_version = 'traffic.net.v1' as is_entry_net,
        coalesce(engaging_hours.is_staff_told, true) as is_engaged_net,
        outside_hours.outside_count,
        traffic.net_entry_count,
        sales.ticket_count,
        case
            when outside_hours.site_id is null then 'no_outside_line'
            when outside_hours.has_unseen_line then 'no_outside_camera'
            when coalesce(outside_hours.completeness, 0) < {{ var('completeness_complete') }}
                then coalesce(outside_hours.coverage_reason, 'camera_silent')
        end as outside_reason,
        traffic.reason as entry_reason,
        case
            when engaging_hours.site_id is null then 'no_engaging_zone'
            when engaging_hours.has_unseen_zone then 'no_zone_camera'
            when coalesce(engaging_hours.completeness, 0) < {{ var('completeness_complete') }}
                then coalesce(engaging_hours.coverage_reason, 'camera_silent')
        end as engaged_reason,
        sales.reason as ticket_reason,
        sales.is_provisional,
        sales.as_of_utc

    from traffic
    inner join sales
        on
            traffic.site_id = sales.site_id
            and traffic.unit_id = sales.unit_id
            and traffic.hour_start_utc = sales.hour_start_utc
            and traffic.business_date = sales.business_date
    left join outside_hours
        on
            traffic.site_id = outside_hours.site_id
            and traffic.unit_id = outside_hours.unit_id
            and traffic.hour_start_utc = outside_hours.hour_start_utc
            and traffic.business_date = outside_hours.business_date
    left join engaging_hours
        on
            traffic.site_id = engaging_hours.site_id
            and traffic.unit_id = engaging_hours.unit_id
            and traffic.hour_start_utc = engaging_hours.hour_start_utc
            and traffic.business_date = engaging_hours.business_date

),

staged as (

    select
        *,
        case
            when coalesce(outside_reason, '') in ('no_outside_line', 'no_outside_camera') then 0
            when is_open then 1
            else 0
        end as has_outside,
        case
            when coalesce(engaged_reason, '') in ('no_engaging_zone', 'no_zone_camera') then 0
            when is_open then 1
            else 0
        end as has_engaged,
        case
            when coalesce(ticket_reason, '') = 'feed_not_linked' then 0
            when is_open then 1
            else 0
        end as has_ticket

    from joined

),

day_staged as (

    select
        *,
        max(has_outside) over (partition by site_id, unit_id, business_date) as has_outside_stage,
        max(has_engaged) over (partition by site_id, unit_id, business_date) as has_engaged_stage,
        max(has_ticket) over (partition by site_id, unit_id, business_date) as has_ticket_stage

    from staged

),

final as (

    select
        *,
        is_entry_net and (is_engaged_net or has_engaged_stage = 0) as is_net,
        case
            when not is_open then 'closed'
            when has_outside_stage = 1 and outside_reason is not null then outside_reason
            when entry_reason is not null then entry_reason
            when has_engaged_stage = 1 and engaged_reason is not null then engaged_reason
            when has_ticket_stage = 1 then ticket_reason
        end as unmatched_reason

    from day_staged

)

select * from final
