-- Grain: one row per site and category that was sold there or that a zone shows.
-- A category is a name in a site's feeds and space file; the same word elsewhere may mean another.

{{ config(materialized='table') }}

with

sites as (

    select * from {{ ref('int_sites') }}

),

sold as (

    select * from {{ ref('fct_category_sales_hourly') }}

),

category_zones as (

    select * from {{ ref('int_category_zones') }}

),

every_name as (

    select
        site_id,
        category

    from sold
    union all
    select
        site_id,
        category

    from category_zones
    union all
    select
        site_id,
        {{ uncategorised() }} as category

    from sites

),

named as (

    select distinct
        site_id,
        category

    from every_name

),

shown as (

    select
        category_zones.site_id,
        category_zones.category,
        count(distinct category_zones.zone_id) as zone_count

    from category_zones
    inner join sites
        on
            category_zones.site_id = sites.site_id
            and {{ valid_at('category_zones', 'sites.last_hour_start_utc') }}
    group by category_zones.site_id, category_zones.category

),

final as (

    select
        named.site_id || '/' || named.category as category_key,
        named.site_id,
        named.category,
        named.category = {{ uncategorised() }} as is_uncategorised,
        {{ as_bigint('coalesce(shown.zone_count, 0)') }} as zone_count

    from named
    inner join sites on named.site_id = sites.site_id
    left join shown
        on
            named.site_id = shown.site_id
            and named.category = shown.category

)

select * from final
