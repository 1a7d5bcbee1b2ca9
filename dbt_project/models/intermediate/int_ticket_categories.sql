-- Grain: one row per connector, ext_ref_code, ticket that counts and category of its lines.
-- The category _uncategorised is for lines without one, and for a ticket without lines. Gift cards
-- are no sales.

with

tickets as (

    select * from {{ ref('int_tickets_current') }}

),

lines as (

    select
        *,
        case when {{ is_category('category') }} then category end as line_category,
        -- goods by weight are one unit
        case
            when quantity = floor(quantity) then quantity
            when quantity < 0 then -1
            when quantity > 0 then 1
        end as units

    from {{ ref('stg_ticket_lines') }}
    where not is_gift_card

),

final as (

    select
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
