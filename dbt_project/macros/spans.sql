{#- Spans are half-open [from, to). Lengths are whole microseconds, so that sums do not depend on
    the order of rows and a replay gives the same bits. -#}

{% macro microseconds_between(from_utc, to_utc) -%}
    {{ dbt.datediff(from_utc, to_utc, 'microsecond') }}
{%- endmacro %}

{% macro seconds(microseconds) -%}
    {{ ratio(microseconds, '1000000') }}
{%- endmacro %}

{#- Seconds as whole microseconds. -#}
{% macro microseconds(seconds) -%}
    {{ as_bigint('round(' ~ seconds ~ ' * 1000000)') }}
{%- endmacro %}

{#- Microseconds that two spans have in common, 0 if none; all four ends must be known. -#}
{% macro overlap_us(a_from, a_to, b_from, b_to) -%}
    (case
        when {{ a_from }} < {{ b_to }} and {{ b_from }} < {{ a_to }}
            then {{ microseconds_between(
                'greatest(' ~ a_from ~ ', ' ~ b_from ~ ')', 'least(' ~ a_to ~ ', ' ~ b_to ~ ')'
            ) }}
        else 0
    end)
{%- endmacro %}

{#- Whether a version row (valid_from_utc, valid_to_utc; null is unbounded) is valid at an instant. -#}
{% macro valid_at(version, instant) -%}
    (
        ({{ version }}.valid_from_utc is null or {{ version }}.valid_from_utc <= {{ instant }})
        and ({{ version }}.valid_to_utc is null or {{ instant }} < {{ version }}.valid_to_utc)
    )
{%- endmacro %}

{% macro seconds_after(instant, seconds) -%}
    {{ dbt.dateadd('second', seconds, instant) }}
{%- endmacro %}

{#- When the hour of a feed is final: so long after its end as its connector says. -#}
{% macro final_at(hour_end, connector) -%}
    {%- set by_connector = var('final_after_by_connector') -%}
    {%- set usual = seconds_after(hour_end, var('final_after_s')) -%}
    {%- if by_connector -%}
    case
        {%- for id, steps in by_connector.items() %}{% for step in steps %}
        when {{ connector }} = '{{ id }}'
            {%- if step.from_utc %}
            and {{ hour_end }} >= {{ as_timestamp("'" ~ step.from_utc ~ "'") }}
            {%- endif %}
            then {{ seconds_after(hour_end, step.seconds) }}
        {%- endfor %}{% endfor %}
        else {{ usual }}
    end
    {%- else -%}
    {{ usual }}
    {%- endif -%}
{%- endmacro %}

{% macro days_after(instant, days) -%}
    {{ dbt.dateadd('day', days, instant) }}
{%- endmacro %}

{#- Midnights between two instants. -#}
{% macro days_between(from_utc, to_utc) -%}
    {{ dbt.datediff(from_utc, to_utc, 'day') }}
{%- endmacro %}

{#- First day of the month of a date. -#}
{% macro month_of(date) -%}
    cast({{ dbt.date_trunc('month', date) }} as date)
{%- endmacro %}

{#- Firsts of a month between two dates. -#}
{% macro months_between(from_date, to_date) -%}
    {{ dbt.datediff(from_date, to_date, 'month') }}
{%- endmacro %}
