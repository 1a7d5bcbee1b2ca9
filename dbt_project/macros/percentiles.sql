{#- A percentile of a group of whole numbers, 100 times as large and so a whole number too: between
    the two ranks on either side of percent / 100 * (row_count - 1), in proportion, which is what
    quantile_cont and percentile_cont give. No engine's own function: they differ, and those on
    doubles depend on the order of rows. Null where no row has a rank.

    row_rank counts from 1 in the order of the values, null for rows that are left out; row_count is
    how many have one. -#}
{% macro percentile_x100(value, row_rank, row_count, percent) -%}
    {%- set off = 'abs(100 * (' ~ row_rank ~ ' - 1) - ' ~ percent ~ ' * (' ~ row_count ~ ' - 1))' -%}
    sum(case when {{ off }} < 100 then {{ value }} * (100 - {{ off }}) end)
{%- endmacro %}
