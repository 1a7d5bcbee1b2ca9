-- Views and macros for people who read published/current.duckdb; store.snapshot puts them there.
-- One statement each, ended by a semicolon at the end of a line. A view whose tables the snapshot
-- lacks is left out. docs/how-to/read-the-results.md shows how to use them.

-- A share or a mean over any group: sums first, one division. Null where the whole is 0, or where
-- no row has both. A row that lacks one of the two counts in neither.
create macro pooled(part, whole) as
    sum(part) filter (where whole is not null)::double
    / nullif(sum(whole) filter (where part is not null), 0);

-- Sale tickets by entries.
create macro pooled_conversion(tickets, entries) as pooled(tickets, entries);

-- Money by tickets or visitors; null where rows are of several currencies or tax bases. Not told is
-- a value of its own: rows that do not say are not pooled with rows that do.
create macro pooled_amount(amount, by_what, currency, tax_included) as
    case
        when
            count(distinct coalesce(currency::varchar, 'not told')) filter (
                where amount is not null and by_what is not null
            ) <= 1
            and count(distinct coalesce(tax_included::varchar, 'not told')) filter (
                where amount is not null and by_what is not null
            ) <= 1
            then pooled(amount, by_what)
    end;

-- Matched open hours with names and the wall clock: all that a rate may be pooled from.
create view v_conversion_hourly as
select
    d.site_name,
    d.unit_name,
    d.tenant_id,
    d.category,
    d.floor,
    f.business_date,
    f.local_hour,
    extract(hour from f.local_hour) as hour_of_day,
    isodow(f.business_date) as iso_weekday,
    f.ticket_count,
    f.net_entry_count,
    f.conversion_rate,
    f.net_sales,
    f.currency,
    f.tax_included,
    f.sales_per_visitor,
    f.is_provisional,
    f.unit_key,
    f.hour_start_utc
from fct_conversion_hourly as f
inner join dim_unit as d on f.unit_key = d.unit_key
where f.is_matched;

-- Days with names; basis and reason say how far a figure may be trusted.
create view v_conversion_daily as
select
    d.site_name,
    d.unit_name,
    d.tenant_id,
    d.category,
    d.floor,
    f.business_date,
    isodow(f.business_date) as iso_weekday,
    f.ticket_count,
    f.net_entry_count,
    f.conversion_rate,
    f.net_sales,
    f.currency,
    f.tax_included,
    f.sales_per_visitor,
    f.completeness,
    f.basis,
    f.reason,
    f.is_provisional,
    f.unit_key
from fct_conversion_daily as f
inner join dim_unit as d on f.unit_key = d.unit_key;

-- Days of sales with names, whatever cameras saw.
create view v_sales_daily as
select
    d.site_name,
    d.unit_name,
    d.tenant_id,
    d.category,
    d.floor,
    f.business_date,
    isodow(f.business_date) as iso_weekday,
    f.ticket_count,
    f.net_sales,
    f.units,
    f.currency,
    f.tax_included,
    f.average_ticket_value,
    f.units_per_ticket,
    f.completeness,
    f.basis,
    f.reason,
    f.amount_reason,
    f.is_provisional,
    f.unit_key
from fct_sales_daily as f
inner join dim_unit as d on f.unit_key = d.unit_key;

-- What is missing, by source and reason, in open hours.
create view v_missing as
select
    d.site_name,
    d.unit_name,
    f.business_date,
    f.source_kind,
    f.source_id,
    f.source_key,
    f.reason,
    count(*) as hours,
    sum(f.expected_s - f.observed_s) as missing_s,
    f.unit_key
from fct_data_completeness_hourly as f
inner join dim_unit as d on f.unit_key = d.unit_key
where f.is_open and f.status <> 'complete'
group by all;
