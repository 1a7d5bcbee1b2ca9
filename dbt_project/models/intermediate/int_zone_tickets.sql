-- Grain: one row per site, unit, zone and local hour with current tickets of the zone's categories.
-- The zone _unmapped stands for what no zone of the unit shows. A ticket counts once in each zone
-- that it has a line of. overlap_count: codes whose tickets may hold several of the zone's
-- categories, which a feed by category does not say.

{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected(['site_id', 'hour_start_utc']) }}"
) }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

totals as (

    select *

    from {{ ref('int_unit_ticket_totals') }} as every_total
    {{ where_affected('every_total', ['site_id', 'hour_start_utc']) }}

),

category_hours as (

    select *

    from {{ ref('int_linked_category_hours') }} as every_category
    {{ where_affected('every_category', ['site_id', 'hour_start_utc']) }}

),

ticket_categories as (

    select *

    from {{ ref('int_linked_ticket_categories') }} as every_ticket
    {{ where_affected('every_ticket', ['site_id', 'hour_start_utc']) }}

),

category_zones as (

    select * from {{ ref('int_category_zones') }}

),

sources as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        max(told_by) as told_by

    from category_hours
    group by site_id, unit_id, connector_id, ext_ref_code, hour_start_utc

),

codes as (

    select
        totals.site_id,
        totals.unit_id,
        totals.connector_id,
        totals.ext_ref_code,
        totals.hour_start_utc,
        totals.num_tickets,
        sources.told_by

    from totals
    left join sources
        on
            totals.site_id = sources.site_id
            and totals.unit_id = sources.unit_id
            and totals.connector_id = sources.connector_id
            and totals.ext_ref_code = sources.ext_ref_code
            and totals.hour_start_utc = sources.hour_start_utc

),

of_lines as (

    select
        codes.site_id,
        codes.unit_id,
        coalesce(category_zones.zone_id, {{ unmapped() }}) as zone_id,
        codes.connector_id,
        codes.ext_ref_code,
        codes.hour_start_utc,
        count(distinct ticket_categories.ticket_id) as ticket_count,
        0 as overlap_count

    from codes
    inner join ticket_categories
        on
            codes.site_id = ticket_categories.site_id
            and codes.unit_id = ticket_categories.unit_id
            and codes.connector_id = ticket_categories.connector_id
            and codes.ext_ref_code = ticket_categories.ext_ref_code
            and codes.hour_start_utc = ticket_categories.hour_start_utc
    left join category_zones
        on
            codes.site_id = category_zones.site_id
            and codes.unit_id = category_zones.unit_id
            and ticket_categories.category = category_zones.category
            and {{ valid_at('category_zones', 'codes.hour_start_utc') }}
    where codes.told_by = 'lines' and ticket_categories.kind = 'sale'
    group by
        codes.site_id,
        codes.unit_id,
        coalesce(category_zones.zone_id, {{ unmapped() }}),
        codes.connector_id,
        codes.ext_ref_code,
        codes.hour_start_utc

),

of_feeds as (

    select distinct
        codes.site_id,
        codes.unit_id,
        category_zones.zone_id,
        codes.connector_id,
        codes.ext_ref_code,
        codes.hour_start_utc,
        category_hours.category,
        category_hours.ticket_count

    from codes
    inner join category_hours
        on
            codes.site_id = category_hours.site_id
            and codes.unit_id = category_hours.unit_id
            and codes.connector_id = category_hours.connector_id
            and codes.ext_ref_code = category_hours.ext_ref_code
            and codes.hour_start_utc = category_hours.hour_start_utc
    inner join category_zones
        on
            codes.site_id = category_zones.site_id
            and codes.unit_id = category_zones.unit_id
            and category_hours.category = category_zones.category
            and {{ valid_at('category_zones', 'codes.hour_start_utc') }}
    where codes.told_by = 'feed' and category_hours.ticket_count > 0

),

by_code as (

    select
        site_id,
        unit_id,
        zone_id,
        hour_start_utc,
        ticket_count,
        overlap_count

    from of_lines
    union all
    select
        site_id,
        unit_id,
        zone_id,
        hour_start_utc,
        sum(ticket_count) as ticket_count,
        case when count(*) > 1 then 1 else 0 end as overlap_count

    from of_feeds
    group by site_id, unit_id, zone_id, connector_id, ext_ref_code, hour_start_utc
    union all
    -- without categories all tickets are of no zone; by category nobody knows how many
    select
        site_id,
        unit_id,
        {{ unmapped() }} as zone_id,
        hour_start_utc,
        coalesce(num_tickets, 0) as ticket_count,
        case when told_by = 'feed' or num_tickets is null then 1 else 0 end as overlap_count

    from codes
    where told_by is null or told_by = 'feed'

),

final as (

    select
        site_id,
        unit_id,
        zone_id,
        hour_start_utc,
        sum(ticket_count) as ticket_count,
        sum(overlap_count) as overlap_count

    from by_code
    group by site_id, unit_id, zone_id, hour_start_utc

)

select * from final
