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

{#- The where clause of an import CTE: all rows, or in an incremental run the affected ones. -#}
{% macro where_affected(relation, keys) -%}
    {%- if is_incremental() -%}
        where {{ is_affected(relation, keys, 'affected') }}
    {%- endif -%}
{%- endmacro %}

{% macro is_affected(relation, keys, affected) -%}
    {{ lies_between_affected(relation, keys) }}
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
    scan, and would otherwise compute every hour of a view to keep one day of it. -#}
{% macro lies_between_affected(relation, keys) -%}
    {%- set times = keys | select('in', ['hour_start_utc', 'business_date']) | list -%}
    {%- set models = [] -%}
    {%- for node in model.depends_on.nodes if node.split('.')[-1].startswith('int_affected_') -%}
        {%- do models.append(node.split('.')[-1]) -%}
    {%- endfor -%}
    {%- if execute and times | length == 1 and models | length == 1 -%}
        {%- set bounds = run_query(
            'select min(' ~ times[0] ~ '), max(' ~ times[0] ~ ') from ' ~ ref(models[0])
        ).rows[0] -%}
        {%- set kind = 'date' if times[0] == 'business_date' else dbt.type_timestamp() -%}
        {%- if bounds[0] is none -%}
            1 = 0
        {%- else -%}
            {{ relation }}.{{ times[0] }} >= cast('{{ bounds[0] }}' as {{ kind }})
            and {{ relation }}.{{ times[0] }} <= cast('{{ bounds[1] }}' as {{ kind }})
        {%- endif -%}
    {%- else -%}
        1 = 1
    {%- endif -%}
{%- endmacro %}
