-- Grain: one row per site, unit, zone that shows categories, and local hour, with a row _unmapped
-- in every hour of every unit. Amounts over all rows of a unit's hour add up to its net sales.
-- Tickets do not: one may count in several zones.

{{ config(pre_hook="{{ delete_affected(['site_id', 'hour_start_utc']) }}") }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

sales as (

    select *

    from {{ ref('fct_category_sales_hourly') }} as every_sale
    {{ where_affected('every_sale', ['site_id', 'hour_start_utc']) }}

),

zone_hours as (

    select *

    from {{ ref('fct_zone_hourly') }} as every_zone
    {{ where_affected('every_zone', ['site_id', 'hour_start_utc']) }}

),

tickets as (

    select *

    from {{ ref('int_zone_tickets') }} as every_ticket
    {{ where_affected('every_ticket', ['site_id', 'hour_start_utc']) }}

),

category_zones as (

    select * from {{ ref('int_category_zones') }}

),

-- the rest row of a unit's hour stands for the hour
hours as (

    select
        *,
        as_of_utc is not null as has_tickets

    from sales
    where category = {{ uncategorised() }}

),

shown as (

    select distinct
        sales.site_id,
        sales.unit_id,
        sales.hour_start_utc,
        sales.category,
        sales.net_sales,
        category_zones.zone_id

    from sales
    left join category_zones
        on
            sales.site_id = category_zones.site_id
            and sales.unit_id = category_zones.unit_id
            and sales.category = category_zones.category
            and {{ valid_at('category_zones', 'sales.hour_start_utc') }}

),

numbered as (

    select
        *,
        count(*) over (
            partition by site_id, unit_id, hour_start_utc, category
        ) as part_count,
        row_number() over (
            partition by site_id, unit_id, hour_start_utc, category
            order by zone_id
        ) as part_number

    from shown

),

summed as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        coalesce(zone_id, {{ unmapped() }}) as zone_id,
        sum({{ split_equally('net_sales', 'part_count', 'part_number') }}) as net_sales,
        count(*) as row_count,
        count(net_sales) as told_count

    from numbered
    group by site_id, unit_id, hour_start_utc, coalesce(zone_id, {{ unmapped() }})

),

categories as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        count(*) as category_count

    from sales
    where category <> {{ uncategorised() }}
    group by site_id, unit_id, hour_start_utc

),

zones as (

    select distinct
        zone_hours.site_id,
        zone_hours.unit_id,
        zone_hours.hour_start_utc,
        zone_hours.zone_id,
        zone_hours.zone_area_m2,
        zone_hours.visit_count,
        zone_hours.basis as visit_basis,
        zone_hours.reason as visit_reason

    from zone_hours
    inner join category_zones
        on
            zone_hours.site_id = category_zones.site_id
            and zone_hours.unit_id = category_zones.unit_id
            and zone_hours.zone_id = category_zones.zone_id
            and {{ valid_at('category_zones', 'zone_hours.hour_start_utc') }}
    union all
    select
        site_id,
        unit_id,
        hour_start_utc,
        {{ unmapped() }} as zone_id,
        {{ as_double('null') }} as zone_area_m2,
        {{ as_bigint('null') }} as visit_count,
        {{ as_string('null') }} as visit_basis,
        {{ as_string('null') }} as visit_reason

    from hours

),

joined as (

    select
        zones.zone_id,
        zones.zone_area_m2,
        zones.visit_count,
        zones.visit_basis,
        zones.visit_reason,
        hours.unit_key,
        hours.site_id,
        hours.unit_id,
        hours.hour_start_utc,
        hours.local_hour,
        hours.utc_offset_s,
        hours.business_date,
        hours.is_open,
        hours.category_reason,
        hours.completeness,
        hours.basis as hour_basis,
        hours.reason as hour_reason,
        hours.amount_reason as hour_amount_reason,
        hours.is_provisional,
        hours.as_of_utc,
        case
            when hours.amount_reason is not null then null
            when zones.zone_id = {{ unmapped() }} then summed.net_sales
            when summed.row_count > 0 then summed.net_sales
            when categories.category_count > 0 then 0
        end as net_sales,
        case when hours.amount_reason is null then hours.currency end as currency,
        case when hours.amount_reason is null then hours.tax_included end as tax_included,
        coalesce(summed.told_count < summed.row_count, false) as is_told_in_part,
        case
            when not hours.has_tickets then hours.ticket_count
            when zones.zone_id = {{ unmapped() }} and tickets.overlap_count = 0
                then tickets.ticket_count
            when zones.zone_id = {{ unmapped() }} and tickets.site_id is null then 0
            when hours.category_reason = 'feed_has_no_category' then null
            when coalesce(tickets.overlap_count, 0) = 0 then coalesce(tickets.ticket_count, 0)
        end as ticket_count

    from zones
    inner join hours
        on
            zones.site_id = hours.site_id
            and zones.unit_id = hours.unit_id
            and zones.hour_start_utc = hours.hour_start_utc
    left join categories
        on
            zones.site_id = categories.site_id
            and zones.unit_id = categories.unit_id
            and zones.hour_start_utc = categories.hour_start_utc
    left join summed
        on
            zones.site_id = summed.site_id
            and zones.unit_id = summed.unit_id
            and zones.hour_start_utc = summed.hour_start_utc
            and zones.zone_id = summed.zone_id
    left join tickets
        on
            zones.site_id = tickets.site_id
            and zones.unit_id = tickets.unit_id
            and zones.hour_start_utc = tickets.hour_start_utc
            and zones.zone_id = tickets.zone_id

),

based as (

    select
        *,
        case
            when hour_basis = 'missing' or (ticket_count is null and net_sales is null)
                then 'missing'
            -- a category without an amount is in the rest, and changes no zone but its own
            when zone_id = {{ unmapped() }} and category_reason = 'category_has_no_amount'
                then 'partial'
            when zone_id = {{ unmapped() }} then hour_basis
            when is_told_in_part or category_reason <> 'category_has_no_amount' then 'partial'
            else hour_basis
        end as basis

    from joined

),

final as (

    select
        unit_key,
        site_id,
        unit_id,
        zone_id,
        hour_start_utc,
        local_hour,
        utc_offset_s,
        business_date,
        is_open,
        {{ as_money('net_sales') }} as net_sales,
        case when net_sales is not null then currency end as currency,
        case when net_sales is not null then tax_included end as tax_included,
        {{ as_bigint('ticket_count') }} as ticket_count,
        visit_count,
        zone_area_m2,
        {{ ratio('ticket_count', 'visit_count') }} as zone_conversion_rate,
        ticket_count > visit_count as is_over_100,
        {{ ratio('net_sales', 'visit_count') }} as net_sales_per_visit,
        {{ ratio('net_sales', 'zone_area_m2') }} as net_sales_per_zone_m2,
        -- the amount of a category that told none is not of the tickets of no zone
        case
            when
                zone_id <> {{ unmapped() }}
                or coalesce(category_reason, '') <> 'category_has_no_amount'
                then {{ ratio('net_sales', 'ticket_count') }}
        end as net_sales_per_ticket,
        completeness,
        basis,
        case
            when basis <> 'measured'
                then coalesce(hour_reason, category_reason, 'feed_has_no_amount')
        end as reason,
        case
            when net_sales is null
                then coalesce(hour_amount_reason, category_reason, 'feed_has_no_amount')
        end as amount_reason,
        case
            when ticket_count is not null then null
            when hour_basis = 'missing' then hour_reason
            when category_reason = 'feed_has_no_category' then 'feed_has_no_category'
            else 'tickets_by_category_only'
        end as ticket_reason,
        visit_basis,
        visit_reason,
        is_provisional,
        as_of_utc,
        'zone_sales.equal_split.v1' as metric_version

    from based

)

select * from final
