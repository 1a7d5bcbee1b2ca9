-- Grain: one row per site, unit, connector, ext_ref_code, ticket that counts and category of its
-- lines, of codes linked to the unit at the ticket's hour.
-- A ticket counts as its newest revision says, unless that voids it or it is a gift card only. The
-- category _uncategorised is for lines without one, and for a ticket without lines. Gift cards are
-- no sales.

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

{% if is_incremental() %}
    -- what was ever of an affected hour; its newest revision may be of another
    touched as (

        select distinct
            every_ticket.connector_id,
            every_ticket.ext_ref_code,
            every_ticket.ticket_id

        from {{ ref('stg_tickets') }} as every_ticket
        inner join totals
            on
                every_ticket.connector_id = totals.connector_id
                and every_ticket.ext_ref_code = totals.ext_ref_code
                and every_ticket.hour_start_utc = totals.hour_start_utc
        where {{ lies_between_affected('every_ticket', ['hour_start_utc']) }}

    ),
{% endif %}

revisions as (

    select every_revision.*

    from {{ ref('stg_tickets') }} as every_revision
    {% if is_incremental() %}
        inner join touched
            on
                every_revision.connector_id = touched.connector_id
                and every_revision.ext_ref_code = touched.ext_ref_code
                and every_revision.ticket_id = touched.ticket_id
        where {{ was_fetched_with_affected('every_revision', 'stg_tickets', or_later=true) }}
    {% endif %}

),

ranked as (

    select
        *,
        rank() over (
            partition by connector_id, ext_ref_code, ticket_id
            order by fetched_at_utc desc, raw_sha256 desc
        ) as revision_rank

    from revisions

),

tickets as (

    select
        totals.site_id,
        totals.unit_id,
        ranked.*

    from ranked
    inner join totals
        on
            ranked.connector_id = totals.connector_id
            and ranked.ext_ref_code = totals.ext_ref_code
            and ranked.hour_start_utc = totals.hour_start_utc
    where ranked.revision_rank = 1 and ranked.kind not in ('void', 'gift_card')

),

-- lines have no hour of their own, and come with their ticket
lines as (

    select
        every_line.*,
        case when {{ is_category('every_line.category') }} then every_line.category end
            as line_category,
        -- goods by weight are one unit
        case
            when every_line.quantity = floor(every_line.quantity) then every_line.quantity
            when every_line.quantity < 0 then -1
            when every_line.quantity > 0 then 1
        end as units

    from {{ ref('stg_ticket_lines') }} as every_line
    where
        not every_line.is_gift_card
        {% if is_incremental() %}
            and {{ was_fetched_with_affected('every_line', 'stg_tickets') }}
            and exists (
                select 1
                from tickets
                where
                    tickets.connector_id = every_line.connector_id
                    and tickets.ext_ref_code = every_line.ext_ref_code
                    and tickets.ticket_id = every_line.ticket_id
            )
        {% endif %}

),

final as (

    select
        tickets.site_id,
        tickets.unit_id,
        tickets.connector_id,
        tickets.ext_ref_code,
        tickets.ticket_id,
        tickets.hour_start_utc,
        tickets.kind,
        tickets.currency,
        tickets.tax_included,
        tickets.net >= 0 as is_gross,
        tickets.fetched_at_utc,
        coalesce(lines.line_category, {{ uncategorised() }}) as category,
        case when count(lines.net) = count(*) then sum(lines.net) end as net_sales,
        case when count(lines.units) = count(*) then {{ as_bigint('sum(lines.units)') }} end
            as units

    from tickets
    left join lines
        on
            tickets.connector_id = lines.connector_id
            and tickets.ext_ref_code = lines.ext_ref_code
            and tickets.ticket_id = lines.ticket_id
            and tickets.fetched_at_utc = lines.fetched_at_utc
            and tickets.raw_sha256 = lines.raw_sha256
    group by
        tickets.site_id,
        tickets.unit_id,
        tickets.connector_id,
        tickets.ext_ref_code,
        tickets.ticket_id,
        tickets.hour_start_utc,
        tickets.kind,
        tickets.currency,
        tickets.tax_included,
        tickets.net,
        tickets.fetched_at_utc,
        lines.line_category

)

select * from final
