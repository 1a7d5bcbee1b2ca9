{#- One incremental mechanism: what changed decides what is rebuilt. An incremental model deletes
    the affected keys from itself and appends the same keys anew, so rows that vanished upstream
    vanish here too, which merge would leave behind. A first run and --full-refresh take all keys.

    The model must name the affected relation among its import CTEs, as `affected`: dbt reads
    dependencies from the model, not from its hooks. -#}

{% macro delete_affected(keys, affected_model='int_affected_unit_hours') -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where {{ is_affected(this.identifier, keys, ref(affected_model)) }}
    {%- endif -%}
{%- endmacro %}

{#- The where clause of an import CTE: all rows, or in an incremental run the affected ones. With
    has_hours, of a view by hour of which the model asks for business dates, the hours that these
    may have are said as well: below the view, rows are of hours, and a date does not bound them. -#}
{% macro where_affected(relation, keys, has_hours=false) -%}
    {%- if is_incremental() -%}
        where {{ is_affected(relation, keys, 'affected', has_hours) }}
    {%- endif -%}
{%- endmacro %}

{% macro is_affected(relation, keys, affected, has_hours=false) -%}
    {{ lies_between_affected(relation, keys, has_hours) }}
    and exists (
        select 1
        from {{ affected }} as changed
        where
            {%- for key in keys %}
            {% if not loop.first %}and {% endif %}changed.{{ key }} = {{ relation }}.{{ key }}
            {%- endfor %}
    )
{%- endmacro %}

{#- The where clause of an import CTE of spans (span_from_utc, span_to_utc): all rows, or in an
    incremental run those that may overlap an affected hour, with a day to spare on each side. -#}
{% macro where_span_affected(relation) -%}
    {%- if is_incremental() -%}
        {%- set bounds = affected_bounds('hour_start_utc') -%}
        {%- if bounds and bounds[0] is none %}
        where 1 = 0
        {%- elif bounds %}
        where
            {{ relation }}.span_from_utc < {{ days_from(bounds[1], 2) }}
            and {{ relation }}.span_to_utc > {{ days_from(bounds[0], -1) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- First and last of what changed, nulls where nothing did; nothing at all where there is no
    connection to ask (--no-introspect) or the model has not one affected relation. -#}
{% macro affected_bounds(time) -%}
    {%- set models = [] -%}
    {%- for node in model.depends_on.nodes if node.split('.')[-1].startswith('int_affected_') -%}
        {%- do models.append(node.split('.')[-1]) -%}
    {%- endfor -%}
    {%- if execute and flags.INTROSPECT is not false and models | length == 1 -%}
        {{ return(run_query(
            'select min(' ~ time ~ '), max(' ~ time ~ ') from ' ~ ref(models[0])
        ).rows[0]) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{#- What `exists` implies, in literals: engines carry those through joins and windows down to the
    scan, and would otherwise compute every hour of a view to keep one day of it. Compiling with
    --no-introspect has no connection to ask, and leaves the bounds out. -#}
{% macro lies_between_affected(relation, keys, has_hours=false) -%}
    {%- set times = keys | select('in', ['hour_start_utc', 'business_date']) | list -%}
    {%- set bounds = affected_bounds(times[0]) if times | length == 1 else none -%}
    {%- if bounds -%}
        {%- set kind = 'date' if times[0] == 'business_date' else dbt.type_timestamp() -%}
        {%- if bounds[0] is none -%}
            1 = 0
        {%- else -%}
            {{ relation }}.{{ times[0] }} >= cast('{{ bounds[0] }}' as {{ kind }})
            and {{ relation }}.{{ times[0] }} <= cast('{{ bounds[1] }}' as {{ kind }})
            {%- if has_hours and times[0] == 'business_date' %}
            and {{ relation }}.hour_start_utc >= {{ days_from(bounds[0], -2) }}
            and {{ relation }}.hour_start_utc < {{ days_from(bounds[1], 3) }}
            {%- endif -%}
        {%- endif -%}
    {%- else -%}
        1 = 1
    {%- endif -%}
{%- endmacro %}

{#- Whether a row came when tickets of affected hours did, in literals: their lines have no hour of
    their own, but came at the same time. With or_later, what came after them as well. -#}
{% macro was_fetched_with_affected(relation, tickets, or_later=false) -%}
    {%- if execute and flags.INTROSPECT is not false -%}
        {%- set bounds = run_query(
            'select min(fetched_at_utc), max(fetched_at_utc) from ' ~ ref(tickets)
            ~ ' as every_ticket where ' ~ lies_between_affected('every_ticket', ['hour_start_utc'])
        ).rows[0] -%}
        {%- if bounds[0] is none -%}
            1 = 0
        {%- else -%}
            {{ relation }}.fetched_at_utc >= cast('{{ bounds[0] }}' as {{ dbt.type_timestamp() }})
            {%- if not or_later %}
            and {{ relation }}.fetched_at_utc <= cast('{{ bounds[1] }}' as {{ dbt.type_timestamp() }})
            {%- endif -%}
        {%- endif -%}
    {%- else -%}
        1 = 1
    {%- endif -%}
{%- endmacro %}

{#- A date as a timestamp, days later. The hours of a business date lie between two days before it
    and two days after it, see int_affected_unit_dates. -#}
{% macro days_from(date, days) -%}
    {%- set day = modules.datetime.datetime.strptime((date | string)[:10], '%Y-%m-%d') -%}
    cast('{{ day + modules.datetime.timedelta(days=days) }}' as {{ dbt.type_timestamp() }})
{%- endmacro %}
