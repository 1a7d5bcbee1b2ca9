-- Grain: one row per site, unit and local hour with current ticket rows, over all linked codes.
-- What the hour holds beside its categories, and whether their amounts may be taken from its total.

{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected(['site_id', 'unit_id', 'hour_start_utc']) }}"
) }}

with

affected as (

    select * from {{ ref('int_affected_unit_hours') }}

),

totals as (

    select *

    from {{ ref('int_unit_ticket_totals') }} as every_total
    {{ where_affected('every_total', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

category_hours as (

    select *

    from {{ ref('int_linked_category_hours') }} as every_category
    {{ where_affected('every_category', ['site_id', 'unit_id', 'hour_start_utc']) }}

),

categories as (

    select
        site_id,
        unit_id,
        connector_id,
        ext_ref_code,
        hour_start_utc,
        max(told_by) as told_by,
        sum(case when category <> {{ uncategorised() }} then 1 else 0 end) as category_count,
        sum(case when category = {{ uncategorised() }} then ticket_count else 0 end)
            as ticket_count,
        sum(case when category = {{ uncategorised() }} then return_count else 0 end)
            as return_count

    from category_hours
    group by site_id, unit_id, connector_id, ext_ref_code, hour_start_utc

),

-- a feed by category does not say which tickets hold something else besides
codes as (

    select
        totals.site_id,
        totals.unit_id,
        totals.hour_start_utc,
        case
            when categories.told_by is null then totals.num_tickets
            when categories.told_by = 'lines' then categories.ticket_count
        end as ticket_count,
        case
            when categories.told_by is null then totals.num_returns
            when categories.told_by = 'lines' then categories.return_count
        end as return_count,
        case
            when coalesce(categories.category_count, 0) > 0 then 0
            -- an hour taken back has no categories to tell
            when
                totals.num_tickets = 0
                and coalesce(totals.num_returns, 0) = 0
                and totals.net_sales is null
                then 0
            else 1
        end as is_bare

    from totals
    left join categories
        on
            totals.site_id = categories.site_id
            and totals.unit_id = categories.unit_id
            and totals.connector_id = categories.connector_id
            and totals.ext_ref_code = categories.ext_ref_code
            and totals.hour_start_utc = categories.hour_start_utc

),

counted as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        case when count(ticket_count) = count(*) then sum(ticket_count) end as ticket_count,
        case when count(return_count) = count(*) then sum(return_count) end as return_count,
        sum(is_bare) as bare_count

    from codes
    group by site_id, unit_id, hour_start_utc

),

amounts as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        net_sales,
        currency,
        tax_included,
        fetched_at_utc

    from totals
    union all
    select
        site_id,
        unit_id,
        hour_start_utc,
        case when category <> {{ uncategorised() }} then net_sales end as net_sales,
        currency,
        tax_included,
        fetched_at_utc

    from category_hours

),

tallied as (

    select
        site_id,
        unit_id,
        hour_start_utc,
        max(fetched_at_utc) as as_of_utc,
        {{ tally_money() }}

    from amounts
    group by site_id, unit_id, hour_start_utc

),

final as (

    select
        counted.site_id,
        counted.unit_id,
        counted.hour_start_utc,
        counted.ticket_count,
        counted.return_count,
        counted.bare_count,
        tallied.as_of_utc,
        case {{ when_money_differs() }} end as money_reason

    from counted
    inner join tallied
        on
            counted.site_id = tallied.site_id
            and counted.unit_id = tallied.unit_id
            and counted.hour_start_utc = tallied.hour_start_utc

)

select * from final
