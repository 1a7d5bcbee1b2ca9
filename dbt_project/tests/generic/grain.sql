{#- Fails with every key that is null in part or occurs more than once. -#}
{% test grain(model, columns) %}

with

keys as (

    select
        {{ columns | join(', ') }},
        count(*) as row_count

    from {{ model }}
    group by {{ columns | join(', ') }}

)

select *

from keys
where
    row_count > 1
    {%- for column in columns %}
    or {{ column }} is null
    {%- endfor %}

{% endtest %}
