"""The Arrow schema of every dataset in the lake: the one place that spells columns.

Instants are UTC microseconds, windows half-open [a, b), durations end in `_s`. Codes and ids are
strings everywhere. What cameras emit is owned by `video_ingest.contract` and only named here.
"""

import pyarrow as pa

from video_ingest.contract import BOXES, COVERAGE, TRACKLET_POINTS, TRACKLETS, UTC_US

MONEY = pa.decimal128(18, 4)


def _schema(**columns: pa.DataType) -> pa.Schema:
    """Build a schema; a name with a trailing underscore is nullable, all others are not."""
    return pa.schema(
        [
            pa.field(name.rstrip("_"), kind, nullable=name.endswith("_"))
            for name, kind in columns.items()
        ]
    )


_STR, _INT, _NUM, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()

VISITS = _schema(
    site_id=_STR,
    unit_id=_STR,
    zone_id=_STR,
    tracklet_id=_STR,
    entered_at_utc=UTC_US,
    left_at_utc=UTC_US,
    dwell_s=_NUM,
    is_start_censored=_BOOL,
    is_end_censored=_BOOL,
    # start of the site's local hour in which the visit was entered
    hour_start_utc=UTC_US,
    rule_version=_INT,
    geometry_version=_STR,
)

LINE_CROSSINGS = _schema(
    site_id=_STR,
    unit_id=_STR,
    line_id=_STR,
    tracklet_id=_STR,
    at_utc=UTC_US,
    direction=_STR,
    x_m=_NUM,
    y_m=_NUM,
    hour_start_utc=UTC_US,
    rule_version=_INT,
    geometry_version=_STR,
)

ZONE_OCCUPANCY = _schema(
    site_id=_STR,
    unit_id=_STR,
    zone_id=_STR,
    minute_utc=UTC_US,
    person_seconds=_NUM,
    max_occupancy=_INT,
    distinct_count=_INT,
    hour_start_utc=UTC_US,
    rule_version=_INT,
    geometry_version=_STR,
)

# One row per visit to a queue zone; outcome: served, abandoned, balked, null where nobody saw it.
QUEUE_EVENTS = _schema(
    site_id=_STR,
    unit_id=_STR,
    zone_id=_STR,
    tracklet_id=_STR,
    joined_at_utc=UTC_US,
    ended_at_utc=UTC_US,
    outcome_=_STR,
    wait_s=_NUM,
    is_join_=_BOOL,
    is_censored=_BOOL,
    # start of the site's local hour in which the queue zone was entered
    hour_start_utc=UTC_US,
    rule_version=_INT,
    geometry_version=_STR,
)

TRACKLET_STAFF = _schema(
    site_id=_STR, tracklet_id=_STR, is_staff=_BOOL, staff_zone_s=_NUM, rule_version=_INT
)

# An hour over midnight UTC has a row for each of the two days; they add up.
ZONE_STAFFING = _schema(
    site_id=_STR,
    unit_id=_STR,
    zone_id=_STR,
    hour_start_utc=UTC_US,
    customer_s=_NUM,
    uncovered_s=_NUM,
    rule_version=_INT,
    geometry_version=_STR,
)

TICKET_HOURS = _schema(
    connector_id=_STR,
    ext_ref_code=_STR,
    hour_start_utc=UTC_US,
    utc_offset_s=_INT,
    num_tickets=_INT,
    category_=_STR,
    num_returns_=_INT,
    gross_sales_=MONEY,
    returns_amount_=MONEY,
    net_sales_=MONEY,
    units_=_INT,
    currency_=_STR,
    tax_included_=_BOOL,
    fetched_at_utc=UTC_US,
    raw_sha256=_STR,
    # position in the answer, from 0; -1 for a zero derived from absence under absent_means: zero;
    # of a file drop, position among the hours that the file changed
    row_number=_INT,
)

# Every revision of a ticket of a file drop; current is the one with the latest fetched_at_utc.
TICKETS = _schema(
    connector_id=_STR,
    ext_ref_code=_STR,
    ticket_id=_STR,
    at_utc=UTC_US,
    # start of the site's local hour
    hour_start_utc=UTC_US,
    utc_offset_s=_INT,
    kind=_STR,
    currency_=_STR,
    tax_included_=_BOOL,
    net_=MONEY,
    gross_=MONEY,
    tax_=MONEY,
    # gift cards sold, which are no sales and not in net
    gift_card_=MONEY,
    units_=_INT,
    line_count=_INT,
    till_=_STR,
    channel_=_STR,
    fetched_at_utc=UTC_US,
    raw_sha256=_STR,
    # position of its first row in the file, from 0; -1 for a void of a ticket that a complete file
    # left out
    row_number=_INT,
)

# The lines of those revisions; none where the file has tickets only.
TICKET_LINES = _schema(
    connector_id=_STR,
    ext_ref_code=_STR,
    ticket_id=_STR,
    line_no_=_INT,
    sku_=_STR,
    category_=_STR,
    quantity_=MONEY,
    net_=MONEY,
    is_gift_card=_BOOL,
    fetched_at_utc=UTC_US,
    raw_sha256=_STR,
    row_number=_INT,
)

# The calendar: one row per site and local hour, from zone rules and opening hours (core.time).
# hour_from_utc is the first instant of the hour; it is later than hour_start_utc only in the hour
# that a half-hour clock change cuts (Australia/Lord_Howe).
SITE_HOURS = _schema(
    site_id=_STR,
    hour_start_utc=UTC_US,
    hour_from_utc=UTC_US,
    hour_end_utc=UTC_US,
    local_hour=pa.timestamp("us"),
    utc_offset_s=_INT,
    business_date=pa.date32(),
    open_s=_NUM,
    is_hours_known=_BOOL,
)

# The open pieces of each hour; an hour without a row is closed.
SITE_OPEN_SPANS = _schema(
    site_id=_STR, hour_start_utc=UTC_US, open_from_utc=UTC_US, open_to_utc=UTC_US
)

# Space dimensions: one set per space-file version; valid_to null means still valid.
SPACE_SITE = _schema(
    site_id=_STR,
    name=_STR,
    timezone=_STR,
    currency=_STR,
    business_day_start=_STR,
    space_version=_STR,
)
_VALID = {"valid_from_utc_": UTC_US, "valid_to_utc_": UTC_US}
SPACE_UNIT = _schema(site_id=_STR, unit_id=_STR, floor_=_STR, name_=_STR)
SPACE_AREA = _schema(site_id=_STR, unit_id=_STR, gla_m2_=_NUM, selling_m2_=_NUM, **_VALID)
SPACE_TENANCY = _schema(
    site_id=_STR,
    unit_id=_STR,
    tenant_id=_STR,
    operator_id=_STR,
    category_=_STR,
    # the tenant's part of a unit that several share, 0 to 1 in millionths
    share_=_NUM,
    **_VALID,
)
SPACE_ZONE = _schema(
    site_id=_STR,
    unit_id=_STR,
    zone_id=_STR,
    role=_STR,
    geometry_version=_STR,
    # null in files of versions that did not tell them
    area_m2_=_NUM,
    polygon_wkt_=_STR,
    **_VALID,
)
SPACE_LINE = _schema(
    site_id=_STR, unit_id=_STR, line_id=_STR, role=_STR, geometry_version=_STR, **_VALID
)
SPACE_CAMERA = _schema(site_id=_STR, camera_id=_STR, camera_version=_STR, **_VALID)
# which camera sees which zone or line; sees_kind: zone, line
SPACE_CAMERA_SEES = _schema(site_id=_STR, camera_id=_STR, sees_kind=_STR, sees_id=_STR, **_VALID)
SPACE_LINK = _schema(site_id=_STR, unit_id=_STR, connector_id=_STR, ext_ref_code=_STR, **_VALID)

# which service zones a queue zone leads to, while the queue holds
SPACE_ZONE_LEADS_TO = _schema(
    site_id=_STR, unit_id=_STR, zone_id=_STR, service_zone_id=_STR, **_VALID
)
# which categories of goods a zone shows, while it does
SPACE_ZONE_CATEGORY = _schema(site_id=_STR, unit_id=_STR, zone_id=_STR, category=_STR, **_VALID)
# one row for each site with a staff rule
SPACE_STAFF = _schema(site_id=_STR, min_s=_NUM)

SPACE_TABLES: dict[str, pa.Schema] = {
    "space_site": SPACE_SITE,
    "space_unit": SPACE_UNIT,
    "space_area": SPACE_AREA,
    "space_tenancy": SPACE_TENANCY,
    "space_zone": SPACE_ZONE,
    "space_line": SPACE_LINE,
    "space_camera": SPACE_CAMERA,
    "space_camera_sees": SPACE_CAMERA_SEES,
    "space_link": SPACE_LINK,
    "space_zone_leads_to": SPACE_ZONE_LEADS_TO,
    "space_zone_category": SPACE_ZONE_CATEGORY,
    "space_staff": SPACE_STAFF,
}

# One row per site, month, measure (sales, traffic), peer group and tenant that is compared in it.
BENCHMARK_SUPPRESSION = _schema(
    site_id=_STR,
    # first day of the month of business dates
    month_start=pa.date32(),
    measure=_STR,
    peer_group=_STR,
    unit_id=_STR,
    tenant_id=_STR,
    operator_id=_STR,
    # whether the tenant is one of those that the published total adds up
    is_in_cohort=_BOOL,
    is_suppressed=_BOOL,
    reason_=_STR,
    min_operators=_INT,
    rule_version=_INT,
)

# One row per campaign and metric that it is judged by.
CAMPAIGN_EFFECT = _schema(
    campaign_id=_STR,
    metric=_STR,
    # business dates, the last ones included
    before_from=pa.date32(),
    before_to=pa.date32(),
    during_from=pa.date32(),
    during_to=pa.date32(),
    treated_unit_count=_INT,
    control_unit_count=_INT,
    excluded_unit_count=_INT,
    treated_day_count=_INT,
    control_day_count=_INT,
    excluded_day_count=_INT,
    treated_before_=_NUM,
    treated_during_=_NUM,
    control_before_=_NUM,
    control_during_=_NUM,
    counterfactual_=_NUM,
    effect_naive_=_NUM,
    effect_did_=_NUM,
    effect_log_did_=_NUM,
    standard_error_=_NUM,
    degrees_of_freedom_=_NUM,
    t_statistic_=_NUM,
    t_critical_=_NUM,
    p_value_=_NUM,
    interval_low_=_NUM,
    interval_high_=_NUM,
    permutation_p_=_NUM,
    permutation_count_=_INT,
    is_permutation_exact_=_BOOL,
    pre_trend_slope_=_NUM,
    pre_trend_p_=_NUM,
    placebo_effect_=_NUM,
    placebo_p_=_NUM,
    margin_rate_=_NUM,
    cost_=MONEY,
    cost_currency_=_STR,
    roi_naive_=_NUM,
    roi_did_=_NUM,
    currency_=_STR,
    tax_included_=_BOOL,
    verdict=_STR,
    verdict_text=_STR,
    completeness_=_NUM,
    basis=_STR,
    reason_=_STR,
    is_provisional=_BOOL,
    as_of_utc_=UTC_US,
    rule_version=_INT,
)

DATASETS: dict[str, pa.Schema] = {
    "tracklet_points": TRACKLET_POINTS,
    "tracklets": TRACKLETS,
    "coverage": COVERAGE,
    "visits": VISITS,
    "line_crossings": LINE_CROSSINGS,
    "zone_occupancy": ZONE_OCCUPANCY,
    "queue_events": QUEUE_EVENTS,
    "tracklet_staff": TRACKLET_STAFF,
    "zone_staffing": ZONE_STAFFING,
    "ticket_hours": TICKET_HOURS,
    "tickets": TICKETS,
    "ticket_lines": TICKET_LINES,
    "site_hours": SITE_HOURS,
    "site_open_spans": SITE_OPEN_SPANS,
    "benchmark_suppression": BENCHMARK_SUPPRESSION,
    "campaign_effect": CAMPAIGN_EFFECT,
    **SPACE_TABLES,
}

# What core.benchmarks reads of a tenant's month; amounts are null where they are not known whole.
TENANT_MONTHS = _schema(
    site_id=_STR,
    month_start=pa.date32(),
    unit_id=_STR,
    tenant_id=_STR,
    operator_id=_STR,
    category_=_STR,
    # whether its figures are its share of those of a unit, which tells of the others in it
    is_unit_shared=_BOOL,
    currency_=_STR,
    tax_included_=_BOOL,
    net_sales_=MONEY,
    net_entry_count_=_INT,
    ticket_count_=_INT,
)

# Files that a command writes when asked; never part of the lake.
ON_REQUEST: dict[str, pa.Schema] = {"boxes": BOXES}

# Ledger tables that the lake schema shows beside the datasets.
AFFECTED_HOURS = _schema(site_id=_STR, unit_id=_STR, hour_start_utc=UTC_US, cause=_STR, seq=_INT)
QUARANTINE = _schema(
    source=_STR,
    code=_STR,
    message=_STR,
    raw_sha256=_STR,
    row_number=_INT,
    raw_value_=_STR,
    first_seen_utc=UTC_US,
)
COUNT_VERSIONS = _schema(
    site_id=_STR,
    day=pa.date32(),
    count_version=_STR,
    is_current=_BOOL,
    rule_version=_INT,
    space_version=_STR,
    points_version=_STR,
    visit_rows=_INT,
    crossing_rows=_INT,
    visits_path_=_STR,
    line_crossings_path_=_STR,
)
COUNT_RECIPES = _schema(count_version=_STR, counted_with=_STR)
LEDGER_VIEWS: dict[str, pa.Schema] = {
    "affected_hours": AFFECTED_HOURS,
    "quarantine": QUARANTINE,
    "count_versions": COUNT_VERSIONS,
    "count_recipes": COUNT_RECIPES,
}
