-- Grain: one row per site.

{{ config(materialized='table') }}

with

sites as (

    select * from {{ ref('int_sites') }}

),

final as (

    select
        site_id as site_key,
        site_id,
        site_name,
        timezone,
        currency,
        business_day_start,
        first_hour_start_utc,
        last_hour_start_utc

    from sites

)

select * from final
