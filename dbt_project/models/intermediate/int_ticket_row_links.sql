-- Grain: one row per row of ticket_hours and link that holds in its hour, or none.

with

ticket_hours as (

    select * from {{ ref('stg_ticket_hours') }}

),

links as (

    select * from {{ ref('stg_space_link') }}

),

final as (

    select
        ticket_hours.connector_id,
        ticket_hours.ext_ref_code,
        ticket_hours.hour_start_utc,
        cast(ticket_hours.hour_start_utc as date) as day_utc,
        ticket_hours.fetched_at_utc,
        ticket_hours.raw_sha256,
        links.unit_id is not null as is_linked

    from ticket_hours
    left join links
        on
            ticket_hours.connector_id = links.connector_id
            and ticket_hours.ext_ref_code = links.ext_ref_code
            and {{ valid_at('links', 'ticket_hours.hour_start_utc') }}

)

select * from final
