-- Grain: one row per campaign and metric that it is judged by.

{{ config(tags=['after_python']) }}

with

source as (

    select * from {{ source('lake', 'campaign_effect') }}

),

final as (

    select
        campaign_id,
        metric,
        before_from,
        before_to,
        during_from,
        during_to,
        treated_unit_count,
        control_unit_count,
        excluded_unit_count,
        treated_day_count,
        control_day_count,
        excluded_day_count,
        treated_before,
        treated_during,
        control_before,
        control_during,
        counterfactual,
        effect_naive,
        effect_did,
        effect_log_did,
        standard_error,
        degrees_of_freedom,
        t_statistic,
        t_critical,
        p_value,
        interval_low,
        interval_high,
        permutation_p,
        permutation_count,
        is_permutation_exact,
        pre_trend_slope,
        pre_trend_p,
        placebo_effect,
        placebo_p,
        margin_rate,
        cost,
        cost_currency,
        roi_naive,
        roi_did,
        currency,
        tax_included,
        verdict,
        verdict_text,
        completeness,
        basis,
        reason,
        is_provisional,
        {{ utc_timestamp('as_of_utc') }} as as_of_utc,
        rule_version

    from source

)

select * from final
