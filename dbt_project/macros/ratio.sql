{#- The only division: in double, null where the denominator is 0 or either side is null. -#}
{% macro ratio(numerator, denominator) -%}
    (case
        when ({{ denominator }}) <> 0
            then {{ as_double(numerator) }} / {{ as_double(denominator) }}
    end)
{%- endmacro %}

{#- Part of a whole as a double in [0, 1]; null where there is no whole.
    Not least(): on DuckDB and PostgreSQL least(null, 1) is 1, which would turn unknown into full. -#}
{% macro share(part, whole) -%}
    (case
        when ({{ whole }}) <> 0 and ({{ part }}) >= ({{ whole }}) then {{ as_double('1') }}
        else {{ ratio(part, whole) }}
    end)
{%- endmacro %}
