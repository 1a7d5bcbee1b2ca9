-- Grain: one row per site, rate scope, unit (_site for the scopes of the site) and month that is
-- over. Scope unit is one unit; tenants, all whose sales are known; centre, the same with the areas
-- of vacant units and of the common area.

{% set summed = ['net_sales', 'gla_cm2_days', 'gla_cm2_s', 'known_us', 'open_us'] %}

with

months as (

    select * from {{ ref('int_density_months') }}

),

units as (

    select
        site_id,
        'unit' as rate_scope,
        unit_id,
        month_start,
        day_count,
        net_sales,
        known_gla_cm2_days as gla_cm2_days,
        gla_cm2_s,
        known_us,
        open_us,
        known_selling_cm2_days as selling_cm2_days,
        1 as unit_count,
        0 as left_out_count,
        is_hours_known,
        case when no_rate_reason is null then first_currency end as currency,
        case when no_rate_reason is null then {{ tallied_tax() }} end as tax_included,
        no_rate_reason,
        is_provisional,
        as_of_utc

    from months

),

reporting as (

    select
        units.*,
        units.no_rate_reason is null or units.no_rate_reason = 'no_tickets' as is_reporting,
        units.no_rate_reason not in ('vacant', 'common_area', 'no_tickets') as is_left_out

    from units

),

added as (

    select
        site_id,
        month_start,
        day_count,
        {% for name in summed %}
            sum(case when is_reporting then {{ name }} end) as {{ name }},
        {% endfor %}
        sum(case when is_reporting then selling_cm2_days end) as selling_cm2_days,
        count(case when is_reporting then selling_cm2_days end) as selling_count,
        sum(case when is_reporting then 1 else 0 end) as unit_count,
        sum(case when is_left_out then 1 else 0 end) as left_out_count,
        min(is_hours_known) as is_hours_known,
        {{ tally_money('is_reporting and net_sales is not null') }},
        max(case when is_reporting then is_provisional else 0 end) as is_provisional,
        max(case when is_reporting then as_of_utc end) as as_of_utc

    from reporting
    group by site_id, month_start, day_count

),

vacant as (

    select
        site_id,
        month_start,
        sum(case when vacant_days_with_gla = vacant_days then vacant_gla_cm2_days end)
            as gla_cm2_days,
        sum(case when let_days = 0 and vacant_days_with_gla = vacant_days then 1 else 0 end)
            as unit_count,
        sum(case when vacant_days_with_gla < vacant_days then 1 else 0 end) as left_out_count

    from months
    group by site_id, month_start

),

judged as (

    select
        *,
        case
            when unit_count = 0 then 'no_reporting_tenant'
            {{ when_money_differs() }}
            when net_sales is null then 'no_tickets'
        end as no_rate_reason

    from added

),

tenants as (

    select
        site_id,
        'tenants' as rate_scope,
        '_site' as unit_id,
        month_start,
        day_count,
        {% for name in summed %}
            {{ name }},
        {% endfor %}
        case when selling_count = unit_count then selling_cm2_days end as selling_cm2_days,
        unit_count,
        left_out_count,
        is_hours_known,
        case when no_rate_reason is null then first_currency end as currency,
        case when no_rate_reason is null then {{ tallied_tax() }} end as tax_included,
        no_rate_reason,
        is_provisional,
        as_of_utc

    from judged

),

centre as (

    select
        tenants.site_id,
        'centre' as rate_scope,
        tenants.unit_id,
        tenants.month_start,
        tenants.day_count,
        tenants.net_sales,
        tenants.gla_cm2_days + coalesce(vacant.gla_cm2_days, 0) as gla_cm2_days,
        -- the hours of a vacant unit are nobody's trading hours, and it has no selling area
        {{ as_bigint('null') }} as gla_cm2_s,
        tenants.known_us,
        tenants.open_us,
        {{ as_bigint('null') }} as selling_cm2_days,
        tenants.unit_count + vacant.unit_count as unit_count,
        tenants.left_out_count + vacant.left_out_count as left_out_count,
        tenants.is_hours_known,
        tenants.currency,
        tenants.tax_included,
        tenants.no_rate_reason,
        tenants.is_provisional,
        tenants.as_of_utc

    from tenants
    inner join vacant
        on
            tenants.site_id = vacant.site_id
            and tenants.month_start = vacant.month_start

),

final as (

    select * from units
    union all
    select * from tenants
    union all
    select * from centre

)

select * from final
