{#- Schemas are plain staging, intermediate and marts: the build file belongs to one build. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
