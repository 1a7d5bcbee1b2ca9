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
    exists (
        select 1
        from {{ affected }} as changed
        where
            {%- for key in keys %}
            {% if not loop.first %}and {% endif %}changed.{{ key }} = {{ relation }}.{{ key }}
            {%- endfor %}
    )
{%- endmacro %}
