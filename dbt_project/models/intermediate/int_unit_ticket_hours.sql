-- Grain: one row per site, unit, connector, ext_ref_code, local hour and category of tickets.
-- A code counts for the unit it is linked to at that hour; unlinked codes stay out.

with

ticket_hours as (

    select * from {{ ref('int_ticket_hours_current') }}

),

unit_hours as (

    select * from {{ ref('int_unit_hours') }}

),

links as (

    select * from {{ ref('stg_space_link') }}

),

linked as (

    select distinct
        links.site_id,
        links.unit_id,
        links.connector_id,
        links.ext_ref_code,
        unit_hours.hour_start_utc

    from links
    inner join unit_hours
        on
            links.site_id = unit_hours.site_id
            and links.unit_id = unit_hours.unit_id
            and {{ valid_at('links', 'unit_hours.hour_start_utc') }}

),

final as (

    select
        linked.site_id,
        linked.unit_id,
        linked.hour_start_utc,
        ticket_hours.connector_id,
        ticket_hours.ext_ref_code,
        ticket_hours.category,
        ticket_hours.has_total,
        ticket_hours.num_tickets,
        ticket_hours.num_returns,
        ticket_hours.gross_sales,
        ticket_hours.returns_amount,
        ticket_hours.net_sales,
        ticket_hours.units,
        ticket_hours.currency,
        ticket_hours.tax_included,
        ticket_hours.fetched_at_utc

    from ticket_hours
    inner join linked
        on
            ticket_hours.connector_id = linked.connector_id
            and ticket_hours.ext_ref_code = linked.ext_ref_code
            and ticket_hours.hour_start_utc = linked.hour_start_utc

)

select * from final
