-- Grain: one row per site, unit, connector, ext_ref_code, hour and category of current tickets.
-- The categories of each code for the unit it is linked to at that hour.

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

-- codes have no unit to be affected, and bounds on the totals do not reach them
category_hours as (

    select *

    from {{ ref('int_category_hours') }} as every_category
    {% if is_incremental() %}
        where {{ lies_between_affected('every_category', ['hour_start_utc']) }}
    {% endif %}

),

final as (

    select
        totals.site_id,
        totals.unit_id,
        category_hours.connector_id,
        category_hours.ext_ref_code,
        category_hours.hour_start_utc,
        category_hours.category,
        category_hours.told_by,
        category_hours.ticket_count,
        category_hours.return_count,
        category_hours.gross_sales,
        category_hours.returns_amount,
        category_hours.net_sales,
        category_hours.units,
        category_hours.currency,
        category_hours.tax_included,
        category_hours.fetched_at_utc

    from totals
    inner join category_hours
        on
            totals.connector_id = category_hours.connector_id
            and totals.ext_ref_code = category_hours.ext_ref_code
            and totals.hour_start_utc = category_hours.hour_start_utc

)

select * from final
