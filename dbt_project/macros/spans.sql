{#- Spans are half-open [from, to). Lengths are whole microseconds, so that sums do not depend on
    the order of rows and a replay gives the same bits. -#}

{% macro microseconds_between(from_utc, to_utc) -%}
    {{ return(adapter.dispatch('microseconds_between')(from_utc, to_utc)) }}
{%- endmacro %}

{% macro default__microseconds_between(from_utc, to_utc) -%}
    {{ dbt.datediff(from_utc, to_utc, 'microsecond') }}
{%- endmacro %}

{#- dbt's own multiplies seconds by a double and rounds up. -#}
{% macro spark__microseconds_between(from_utc, to_utc) -%}
    (unix_micros({{ to_utc }}) - unix_micros({{ from_utc }}))
{%- endmacro %}

{% macro seconds(microseconds) -%}
    {{ ratio(microseconds, '1000000') }}
{%- endmacro %}

{#- Seconds as whole microseconds. -#}
{% macro microseconds(seconds) -%}
    {{ whole_number(seconds ~ ' * 1000000') }}
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

{#- Orders the versions of one key (valid_from_utc, valid_to_utc) for row_number: the one that is
    valid at an instant, else the last that ended before it, else the first that begins after it.
    Nulls sort differently on each engine, so each is given its place. -#}
{% macro version_order(version, instant) -%}
    case when {{ valid_at(version, instant) }} then 0 else 1 end,
    case
        when {{ version }}.valid_from_utc is null then 0
        when {{ version }}.valid_from_utc <= {{ instant }} then 0
        else 1
    end,
    case when {{ version }}.valid_from_utc is null then 1 else 0 end,
    case
        when {{ version }}.valid_from_utc <= {{ instant }} then {{ version }}.valid_from_utc
    end desc,
    {{ version }}.valid_from_utc
{%- endmacro %}

{#- Cast, because on BigQuery what dbt adds to is no timestamp any more. -#}
{% macro seconds_after(instant, seconds) -%}
    {{ return(adapter.dispatch('seconds_after')(instant, seconds)) }}
{%- endmacro %}

{% macro default__seconds_after(instant, seconds) -%}
    {{ as_timestamp(dbt.dateadd('second', seconds, instant)) }}
{%- endmacro %}

{#- dbt's own drops what is below a second. -#}
{% macro spark__seconds_after(instant, seconds) -%}
    timestampadd(second, {{ seconds }}, {{ instant }})
{%- endmacro %}

{% macro minutes_after(instant, minutes) -%}
    {{ return(adapter.dispatch('minutes_after')(instant, minutes)) }}
{%- endmacro %}

{% macro default__minutes_after(instant, minutes) -%}
    {{ dbt.dateadd('minute', minutes, instant) }}
{%- endmacro %}

{% macro spark__minutes_after(instant, minutes) -%}
    timestampadd(minute, {{ minutes }}, {{ instant }})
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
    {{ return(adapter.dispatch('days_after')(instant, days)) }}
{%- endmacro %}

{% macro default__days_after(instant, days) -%}
    {{ dbt.dateadd('day', days, instant) }}
{%- endmacro %}

{% macro spark__days_after(instant, days) -%}
    timestampadd(day, {{ days }}, {{ instant }})
{%- endmacro %}

{#- Midnights between two instants. -#}
{% macro days_between(from_utc, to_utc) -%}
    {{ return(adapter.dispatch('days_between')(from_utc, to_utc)) }}
{%- endmacro %}

{% macro default__days_between(from_utc, to_utc) -%}
    {{ dbt.datediff(from_utc, to_utc, 'day') }}
{%- endmacro %}

{#- dbt's own writes each argument many times over, which takes Spark long to plan. -#}
{% macro spark__days_between(from_utc, to_utc) -%}
    datediff({{ to_utc }}, {{ from_utc }})
{%- endmacro %}

{#- Each span once for every UTC day that it touches: 0 for the first, and so on. Joins day_numbers. -#}
{% macro join_day_numbers(from_utc, to_utc) -%}
    {{ return(adapter.dispatch('join_day_numbers')(from_utc, to_utc)) }}
{%- endmacro %}

{% macro default__join_day_numbers(from_utc, to_utc) -%}
    inner join day_numbers
        on day_numbers.day_number <= {{ days_between(from_utc, to_utc) }}
{%- endmacro %}

{#- Spark joins by an inequality only by comparing each row with each, 100,000 days with each span. -#}
{% macro spark__join_day_numbers(from_utc, to_utc) -%}
    {%- set last = days_between(from_utc, to_utc) -%}
    lateral view explode(case when {{ last }} >= 0 then sequence(0, {{ last }}) end) day_numbers
        as day_number
{%- endmacro %}

{#- First day of the month of a date. -#}
{% macro month_of(date) -%}
    cast({{ dbt.date_trunc('month', date) }} as date)
{%- endmacro %}

{#- Firsts of a month between two dates. -#}
{% macro months_between(from_date, to_date) -%}
    {{ return(adapter.dispatch('months_between')(from_date, to_date)) }}
{%- endmacro %}

{% macro spark__months_between(from_date, to_date) -%}
    (
        12 * (year({{ to_date }}) - year({{ from_date }}))
        + month({{ to_date }}) - month({{ from_date }})
    )
{%- endmacro %}

{% macro default__months_between(from_date, to_date) -%}
    {{ dbt.datediff(from_date, to_date, 'month') }}
{%- endmacro %}

{#- Whole seconds since 1970-01-01 00:00. -#}
{% macro seconds_since_1970(instant) -%}
    {{ return(adapter.dispatch('seconds_since_1970')(instant)) }}
{%- endmacro %}

{% macro spark__seconds_since_1970(instant) -%}
    unix_seconds({{ instant }})
{%- endmacro %}

{% macro default__seconds_since_1970(instant) -%}
    {{ dbt.datediff(as_timestamp("'1970-01-01 00:00:00'"), instant, 'second') }}
{%- endmacro %}

{#- Weekday of a date, 1 Monday to 7 Sunday; 1900-01-01 was a Monday. -#}
{% macro iso_weekday(date) -%}
    {{ as_bigint('mod(' ~ days_between("cast('1900-01-01' as date)", date) ~ ', 7) + 1') }}
{%- endmacro %}

{#- Days of the whole month that begins on a date. -#}
{% macro days_of_month(month_start) -%}
    {{ days_between(month_start, dbt.dateadd('month', 1, month_start)) }}
{%- endmacro %}
