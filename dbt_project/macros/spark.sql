{#- Tables of Spark's own formats have no constraints: names and types of a contract hold there, and
    not_null is left to the data tests. -#}
{% macro spark__persist_constraints(relation, model) -%}
{%- endmacro %}
