-- Grain: one row per campaign and metric that it is judged by.

{{ config(tags=['after_python']) }}

with

effects as (

    select * from {{ ref('stg_campaign_effect') }}

)

select * from effects
