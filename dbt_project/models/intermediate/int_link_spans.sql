-- Grain: one row per site, unit, connector, ext_ref_code, local hour in which the code is linked to
-- the unit, piece of that hour and UTC day that the piece touches (see int_hour_span_days).

with

unit_hours as (

    select * from {{ ref('int_unit_hours') }}

),

span_days as (

    select * from {{ ref('int_hour_span_days') }}

),

links as (

    select * from {{ ref('stg_space_link') }}

),

-- of what two links say alike, before an hour is spread over its pieces
link_hours as (

    select distinct
        unit_hours.site_id,
        unit_hours.unit_id,
        links.connector_id,
        links.ext_ref_code,
        unit_hours.hour_start_utc,
        unit_hours.hour_end_utc

    from unit_hours
    inner join links
        on
            unit_hours.site_id = links.site_id
            and unit_hours.unit_id = links.unit_id
            and {{ valid_at('links', 'unit_hours.hour_start_utc') }}

),

final as (

    select
        link_hours.site_id,
        link_hours.unit_id,
        link_hours.connector_id,
        link_hours.ext_ref_code,
        link_hours.hour_start_utc,
        link_hours.hour_end_utc,
        span_days.span_kind,
        span_days.from_utc,
        span_days.to_utc,
        span_days.span_us,
        span_days.day_utc

    from link_hours
    inner join span_days
        on
            link_hours.site_id = span_days.site_id
            and link_hours.hour_start_utc = span_days.hour_start_utc

)

select * from final
