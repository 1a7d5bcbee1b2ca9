{#- Areas are summed in whole square centimetres, so that sums do not depend on the order of rows
    and a replay gives the same bits. -#}

{% macro square_centimetres(m2) -%}
    {{ whole_number('(' ~ m2 ~ ') * 10000') }}
{%- endmacro %}

{% macro square_metres(cm2) -%}
    {{ ratio(cm2, '10000') }}
{%- endmacro %}
