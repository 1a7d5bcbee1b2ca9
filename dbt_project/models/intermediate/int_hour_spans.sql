-- Grain: one row per site, local hour, span_kind and piece of the hour.
-- Kind whole is the hour itself; kind open is each piece of it in which the site is open: the
-- whole hour where opening hours are not known, no row where the hour is closed.

with

site_hours as (

    select * from {{ ref('int_site_hours') }}

),

open_spans as (

    select * from {{ ref('stg_site_open_spans') }}

),

whole as (

    select
        site_id,
        hour_start_utc,
        'whole' as span_kind,
        hour_from_utc as from_utc,
        hour_end_utc as to_utc

    from site_hours

),

known_open as (

    select
        open_spans.site_id,
        open_spans.hour_start_utc,
        'open' as span_kind,
        open_spans.open_from_utc as from_utc,
        open_spans.open_to_utc as to_utc

    from open_spans
    inner join site_hours
        on
            open_spans.site_id = site_hours.site_id
            and open_spans.hour_start_utc = site_hours.hour_start_utc
    where site_hours.is_hours_known

),

assumed_open as (

    select
        site_id,
        hour_start_utc,
        'open' as span_kind,
        hour_from_utc as from_utc,
        hour_end_utc as to_utc

    from site_hours
    where not is_hours_known

),

unioned as (

    select * from whole
    union all
    select * from known_open
    union all
    select * from assumed_open

),

final as (

    select
        site_id,
        hour_start_utc,
        span_kind,
        from_utc,
        to_utc,
        {{ microseconds_between('from_utc', 'to_utc') }} as span_us

    from unioned

)

select * from final
