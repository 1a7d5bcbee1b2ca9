-- Grain: one row per campaign and metric that it is judged by.

{{ config(tags=['after_python']) }}

with

final as (

    select * from {{ ref('stg_campaign_effect') }}

)

select * from final
