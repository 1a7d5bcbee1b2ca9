{#- Sales of no category, and sales of categories that no zone of the unit shows. Both have rows of
    their own, so that nothing is dropped. -#}
{% macro uncategorised() -%}
    '_uncategorised'
{%- endmacro %}

{% macro unmapped() -%}
    '_unmapped'
{%- endmacro %}

{#- Whether a text names a category. -#}
{% macro is_category(category) -%}
    ({{ category }} is not null and {{ category }} not in ('', {{ uncategorised() }}))
{%- endmacro %}

{#- What part `position` of `parts` (both from 1 on) gets of money split equally, to four decimals.
    What does not divide goes to the first parts, a ten-thousandth each, so that the parts add up to
    the amount: 100.0000 in three is 33.3334, 33.3333, 33.3333. Null where the amount is. -#}
{% macro split_equally(amount, parts, position) -%}
    {#- wider than money, which would overflow -#}
    {%- set steps = as_bigint('cast(abs(' ~ amount ~ ') as decimal(23, 4)) * 10000') -%}
    {{ as_money(
        '(' ~ whole_quotient(steps, parts)
        ~ ' + case when ' ~ position ~ ' <= mod(' ~ steps ~ ', ' ~ parts ~ ') then 1 else 0 end)'
        ~ ' * ' ~ as_money('case when ' ~ amount ~ ' < 0 then -0.0001 else 0.0001 end')
    ) }}
{%- endmacro %}

{#- Whole part of the quotient of two whole numbers, neither of them negative. -#}
{% macro whole_quotient(dividend, divisor) -%}
    {{ return(adapter.dispatch('whole_quotient')(dividend, divisor)) }}
{%- endmacro %}

{#- PostgreSQL and Redshift divide whole numbers into whole numbers. -#}
{% macro default__whole_quotient(dividend, divisor) -%}
    ({{ dividend }} / {{ divisor }})
{%- endmacro %}

{% macro duckdb__whole_quotient(dividend, divisor) -%}
    ({{ dividend }} // {{ divisor }})
{%- endmacro %}

{% macro spark__whole_quotient(dividend, divisor) -%}
    ({{ dividend }} div {{ divisor }})
{%- endmacro %}

{#- Its quotients are rounded to some decimals, so it divides what divides. -#}
{% macro snowflake__whole_quotient(dividend, divisor) -%}
    {{ as_bigint(
        '(' ~ dividend ~ ' - mod(' ~ dividend ~ ', ' ~ divisor ~ ')) / ' ~ divisor
    ) }}
{%- endmacro %}

{% macro bigquery__whole_quotient(dividend, divisor) -%}
    div({{ dividend }}, {{ divisor }})
{%- endmacro %}
