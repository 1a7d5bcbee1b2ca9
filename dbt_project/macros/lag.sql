{#- How long after entering people pay: `ticket_lag_s` seconds (ticket_lag_shape fixed), or anything
    from 0 to ticket_lag_s, all alike (uniform). Entries of an hour are spread evenly over it.

    Gives [(hours later, weight)] without weights of 0, and the sum of the weights. All are whole
    numbers, so that a sum of entries by weight is exact and does not depend on the order of rows.
    A fixed lag spreads over the two hours that it reaches, as ticket_lag_s falls between them;
    of a uniform one, the integral of that over all lags: squares of seconds over 2 * 3600 * lag. -#}
{% macro ticket_lag_weights() -%}
    {%- set lag_s = var('ticket_lag_s') | int -%}
    {%- set weights = [] -%}
    {%- if lag_s < 0 or var('ticket_lag_shape') not in ('fixed', 'uniform') -%}
        {{ exceptions.raise_compiler_error(
            "ticket_lag_s is " ~ lag_s ~ " and ticket_lag_shape " ~ var('ticket_lag_shape')
            ~ "; give seconds from 0 on, and fixed or uniform."
        ) }}
    {%- endif -%}
    {%- if var('ticket_lag_shape') == 'fixed' or lag_s == 0 -%}
        {%- do weights.append((lag_s // 3600, 3600 - lag_s % 3600)) -%}
        {%- do weights.append((lag_s // 3600 + 1, lag_s % 3600)) -%}
    {%- else -%}
        {%- for hours in range(lag_s // 3600 + 2) -%}
            {%- set before = [[lag_s - (hours - 1) * 3600, 0] | max, 3600] | min -%}
            {%- set after = [[lag_s - hours * 3600, 0] | max, 3600] | min -%}
            {%- set rising = before * before if hours > 0 else 0 -%}
            {%- do weights.append((hours, rising + 2 * 3600 * after - after * after)) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set weights = weights | selectattr(1) | list -%}
    {{ return((weights, weights | sum(attribute=1))) }}
{%- endmacro %}

{#- The weights as rows: hours_later, weight. -#}
{% macro ticket_lags() -%}
    {%- for hours, weight in ticket_lag_weights()[0] -%}
        select
            {{ hours }} as hours_later,
            {{ weight }} as weight
        {% if not loop.last %}union all{% endif %}
    {% endfor -%}
{%- endmacro %}

{#- The sum of the weights. -#}
{% macro ticket_lag_whole() -%}
    {{ ticket_lag_weights()[1] }}
{%- endmacro %}

{#- Minutes from an hour to those whose entries by hour of paying hang on it: from the hour before,
    which keeps more if the opening ends there, to the last that entries reach. In steps of half an
    hour: where a clock moves by half an hour, so do the hours after it. -#}
{% macro ticket_lag_shifts() -%}
    {%- set last_hours = ticket_lag_weights()[0][-1][0] -%}
    {%- for half_hours in range(-2, 2 * last_hours + 1) -%}
        select {{ 30 * half_hours }} as shift_minutes
        {% if not loop.last %}union all{% endif %}
    {% endfor -%}
{%- endmacro %}
