{#- Amounts add up only within one currency and one tax basis. A group of rows is tallied in one CTE
    (tally_money), judged in the next (when_money_differs), and told in the last (tallied_tax;
    first_currency). -#}

{#- Columns of an aggregate: how many rows that count have which currency and tax basis.
    `counted` is the condition of a row that counts. -#}
{% macro tally_money(counted='net_sales is not null') -%}
    sum(case when {{ counted }} then 1 else 0 end) as amount_count,
    count(case when {{ counted }} then currency end) as currency_count,
    min(case when {{ counted }} then currency end) as first_currency,
    max(case when {{ counted }} then currency end) as last_currency,
    sum(case when {{ counted }} and tax_included then 1 else 0 end) as taxed_count,
    sum(case when {{ counted }} and not tax_included then 1 else 0 end) as untaxed_count
{%- endmacro %}

{#- Branches of a case: why tallied amounts do not add up. Where some rows say a currency or a basis
    and others say none, they may differ, so that is the same. -#}
{% macro when_money_differs() -%}
    when currency_count not in (0, amount_count) or first_currency <> last_currency
        then 'currencies_differ'
    when taxed_count not in (0, amount_count) or untaxed_count not in (0, amount_count)
        then 'tax_basis_differs'
{%- endmacro %}

{#- Whether tallied amounts include tax; null where none says. -#}
{% macro tallied_tax() -%}
    case when taxed_count > 0 then true when untaxed_count > 0 then false end
{%- endmacro %}

{#- A tenant's part of an amount, exact in ten decimals: the share is as_share(). Wider than money,
    which on DuckDB would overflow from 100 million on; Spark has 38 digits for both, and drops
    decimals where there are more. -#}
{% macro part_of(amount, unit_share) -%}
    cast({{ amount }} as {{ part_type() }}) * {{ unit_share }}
{%- endmacro %}

{% macro part_type() -%}
    {{ return(adapter.dispatch('part_type')()) }}
{%- endmacro %}

{% macro default__part_type() -%}
    decimal(28, 4)
{%- endmacro %}

{#- A product of its NUMERIC is rounded to nine decimals. -#}
{% macro bigquery__part_type() -%}
    bignumeric
{%- endmacro %}
