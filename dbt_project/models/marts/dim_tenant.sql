-- Grain: one row per site and tenant, whether it still rents a unit or not.
-- Values are those of the last hour of the site's calendar, else the last ones.

{{ config(materialized='table') }}

with

tenants as (

    select * from {{ ref('int_tenants') }}

),

final as (

    select
        site_id || '/' || tenant_id as tenant_key,
        site_id,
        tenant_id,
        operator_id,
        category,
        unit_count,
        unit_id,
        first_from_utc,
        last_to_utc,
        is_current

    from tenants

)

select * from final
