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

{#- What `exists` implies, in literals: engines carry those through joins and windows down to the
    scan, and would otherwise compute every hour of a view to keep one day of it. Compiling with
    --no-introspect has no connection to ask, and leaves the bounds out. -#}
{% macro lies_between_affected(relation, keys, has_hours=false) -%}
    {%- set times = keys | select('in', ['hour_start_utc', 'business_date']) | list -%}
    {%- set models = [] -%}
    {%- for node in model.depends_on.nodes if node.split('.')[-1].startswith('int_affected_') -%}
        {%- do models.append(node.split('.')[-1]) -%}
    {%- endfor -%}
    {%- set may_ask = execute and flags.INTROSPECT is not false -%}
    {%- if may_ask and times | length == 1 and models | length == 1 -%}
        {%- set bounds = run_query(
            'select min(' ~ times[0] ~ '), max(' ~ times[0] ~ ') from ' ~ ref(models[0])
        ).rows[0] -%}
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

{#- A date as a timestamp, days later. The hours of a business date lie between two days before it
    and two days after it, see int_affected_unit_dates. -#}
{% macro days_from(date, days) -%}
    {%- set day = modules.datetime.datetime.strptime((date | string)[:10], '%Y-%m-%d') -%}
    cast('{{ day + modules.datetime.timedelta(days=days) }}' as {{ dbt.type_timestamp() }})
{%- endmacro %}
