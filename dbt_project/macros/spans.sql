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

{% macro days_after(instant, days) -%}
    {{ dbt.dateadd('day', days, instant) }}
{%- endmacro %}

{#- Midnights between two instants. -#}
{% macro days_between(from_utc, to_utc) -%}
    {{ dbt.datediff(from_utc, to_utc, 'day') }}
{%- endmacro %}
