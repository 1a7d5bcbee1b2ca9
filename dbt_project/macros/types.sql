{#- 64-bit floating point: `float` is 32-bit on DuckDB and Spark. -#}
{% macro double_type() -%}
    {{ return(adapter.dispatch('double_type')()) }}
{%- endmacro %}

{% macro default__double_type() -%}
    double precision
{%- endmacro %}

{% macro duckdb__double_type() -%}
    double
{%- endmacro %}

{% macro spark__double_type() -%}
    double
{%- endmacro %}

{% macro snowflake__double_type() -%}
    double
{%- endmacro %}

{% macro bigquery__double_type() -%}
    float64
{%- endmacro %}

{#- An instant as a naive UTC timestamp; the session's TimeZone is UTC. -#}
{% macro as_timestamp(expression) -%}
    cast({{ expression }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{#- The same of a column of the lake, which has a zone. DuckDB asks its calendar for each row of a
    cast, and takes twelve times as long as for the microseconds, which are UTC already. -#}
{% macro utc_timestamp(column) -%}
    {{ return(adapter.dispatch('utc_timestamp')(column)) }}
{%- endmacro %}

{% macro default__utc_timestamp(column) -%}
    {{ as_timestamp(column) }}
{%- endmacro %}

{% macro duckdb__utc_timestamp(column) -%}
    make_timestamp(epoch_us({{ column }}))
{%- endmacro %}

{% macro as_bigint(expression) -%}
    cast({{ expression }} as {{ dbt.type_bigint() }})
{%- endmacro %}

{#- The nearest whole number to a double; a half goes away from zero. -#}
{% macro whole_number(expression) -%}
    {{ return(adapter.dispatch('whole_number')(expression)) }}
{%- endmacro %}

{% macro default__whole_number(expression) -%}
    {{ as_bigint('round(' ~ expression ~ ')') }}
{%- endmacro %}

{#- PostgreSQL rounds the half of a double to the even number. -#}
{% macro postgres__whole_number(expression) -%}
    {%- set size = 'abs(' ~ expression ~ ')' -%}
    {{ as_bigint(
        'sign(' ~ expression ~ ') * (floor(' ~ size ~ ')'
        ~ ' + case when ' ~ size ~ ' - floor(' ~ size ~ ') >= 0.5 then 1 else 0 end)'
    ) }}
{%- endmacro %}

{% macro as_string(expression) -%}
    cast({{ expression }} as {{ dbt.type_string() }})
{%- endmacro %}

{% macro as_double(expression) -%}
    cast({{ expression }} as {{ double_type() }})
{%- endmacro %}

{#- Money keeps four decimals through every sum; a sum would widen the type, and on PostgreSQL a
    case forgets the scale: a mart casts money last, in its final select. -#}
{% macro as_money(expression) -%}
    cast({{ expression }} as {{ money_type() }})
{%- endmacro %}

{% macro money_type() -%}
    decimal(18, 4)
{%- endmacro %}

{#- A tenant's part of a shared unit: millionths, so that what it is multiplied with stays exact. -#}
{% macro as_share(expression) -%}
    cast({{ expression }} as decimal(7, 6))
{%- endmacro %}
