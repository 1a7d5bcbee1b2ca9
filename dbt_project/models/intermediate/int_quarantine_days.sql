-- Grain: one row per connector and UTC day on which ticket rows or answers were refused.
-- Nobody can say of which code they are, so they stand under the code ''. E_UNKNOWN_CODE is a
-- notice: its rows were loaded and wait for their link.

with

quarantine as (

    select * from {{ ref('stg_quarantine') }}

),

final as (

    select
        substr(source_name, 9) as connector_id,
        '' as ext_ref_code,
        cast(first_seen_utc as date) as day_utc,
        count(*) as quarantined_row_count,
        min(code) as quarantine_code

    from quarantine
    where source_name like 'tickets:%' and code <> 'E_UNKNOWN_CODE'
    group by substr(source_name, 9), cast(first_seen_utc as date)

)

select * from final
