{#- fct_ticket_reconciliation_daily says of every code what became of its rows, linked or not, and
    affected hours are of units: refused rows touch none, nor do hours outside the calendar. So the
    mart is compared with the lake itself. What does not hold any more is deleted from it in a
    pre-hook, and what it lacks is appended. -#}

{% macro same_ticket_day(one, other) -%}
    {{ one }}.connector_id = {{ other }}.connector_id
    and {{ one }}.ext_ref_code = {{ other }}.ext_ref_code
    and {{ one }}.day_utc = {{ other }}.day_utc
{%- endmacro %}

{% macro delete_stale_ticket_days() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where exists (
            select 1
            from ({{ stale_ticket_days() }}) as stale
            where {{ same_ticket_day('stale', this.identifier) }}
        )
    {%- endif -%}
{%- endmacro %}

{#- The where clause of days: all, or in an incremental run those that the mart lacks, once stale
    ones are deleted from it. -#}
{% macro where_mart_lacks(relation) -%}
    {%- if is_incremental() -%}
        where not exists (
            select 1
            from {{ this }} as kept
            where {{ same_ticket_day('kept', relation) }}
        )
    {%- endif -%}
{%- endmacro %}

{#- The where clause of an import CTE of hours: all, or in an incremental run those between the
    first and the last stale day, in literals, see lies_between_affected. The stale rows are asked
    for when this is compiled: they are deleted after it. -#}
{% macro where_between_stale(relation) -%}
    {%- if is_incremental() and execute and flags.INTROSPECT is not false -%}
        {%- set bounds = run_query(
            'select min(day_utc), max(day_utc) from (' ~ stale_ticket_days()
            ~ ") as stale where ext_ref_code <> ''"
        ).rows[0] -%}
        {%- if bounds[0] is none -%}
        where 1 = 0
        {%- else -%}
        where
            {{ relation }}.hour_start_utc >= {{ days_from(bounds[0], 0) }}
            and {{ relation }}.hour_start_utc < {{ days_from(bounds[1], 1) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- Keys of the mart and of the lake: days of affected hours; days of which other rows came, or
    newer ones, or none are left; and days of which other rows have a link, though outside the
    calendar no hour is affected by it. Where some have one there and some have none, others may
    have it now, and as many as before. -#}
{% macro stale_ticket_days() -%}
    select
        coalesce(came.connector_id, mart.connector_id) as connector_id,
        coalesce(came.ext_ref_code, mart.ext_ref_code) as ext_ref_code,
        coalesce(came.day_utc, mart.day_utc) as day_utc
    from {{ ref('int_ticket_day_arrivals') }} as came
    full join {{ this }} as mart on {{ same_ticket_day('came', 'mart') }}
    where
        came.day_utc is null
        or mart.day_utc is null
        or came.row_count <> mart.row_count
        or came.as_of_utc <> mart.as_of_utc
        or came.quarantine_code <> mart.amount_reason
        or (mart.unmatched_row_count > 0 and mart.outside_calendar_row_count > 0)
    union all
    select
        mart.connector_id,
        mart.ext_ref_code,
        mart.day_utc
    from {{ this }} as mart
    where
        mart.ext_ref_code <> ''
        and mart.day_utc in (
            select cast(hour_start_utc as date) from {{ ref('int_affected_unit_hours') }}
        )
    union all
    select
        connector_id,
        ext_ref_code,
        day_utc
    from (
        select
            mart.connector_id,
            mart.ext_ref_code,
            mart.day_utc,
            mart.unmatched_row_count,
            rows_came.is_linked,
            rank() over (
                partition by
                    rows_came.connector_id, rows_came.ext_ref_code, rows_came.hour_start_utc
                order by rows_came.fetched_at_utc desc, rows_came.raw_sha256 desc
            ) as revision_rank
        from {{ this }} as mart
        inner join {{ ref('int_ticket_row_links') }} as rows_came
            on {{ same_ticket_day('mart', 'rows_came') }}
        where mart.unmatched_row_count > 0 or mart.outside_calendar_row_count > 0
    ) as waiting
    where revision_rank = 1
    group by connector_id, ext_ref_code, day_utc, unmatched_row_count
    having unmatched_row_count <> sum(case when is_linked then 0 else 1 end)
{%- endmacro %}
