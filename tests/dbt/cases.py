"""Two sites in which every unit is one case, and the same sites after inputs changed.

"sp" is America/Sao_Paulo on 2023-02-08, open from 09:00 to 11:00. "es" is Europe/Madrid on the day
with 25 hours, with unknown opening hours. "np" is Asia/Kathmandu, whose hour from 05:00 to 06:00
runs over midnight UTC.
"""

import copy
from datetime import timedelta
from decimal import Decimal

from ksi_pipeline.core.time import OpeningHours

from .small_site import ALWAYS, SmallSite

DAY = "2023-02-08"
NINE, TEN = f"{DAY} 09:00", f"{DAY} 10:00"
LATER = "2023-02-12 12:00"
NINE_TO_ELEVEN = OpeningHours(weekly=dict.fromkeys(range(7), ((9 * 60, 11 * 60),)))


def sao_paulo():
    site = SmallSite("sp", "America/Sao_Paulo", NINE_TO_ELEVEN)
    site.calendar(f"{DAY} 00:00", "2023-02-09 00:00")
    for unit_id in ("0001", "0002", "partial", "dark", "refused", "early", "leaves"):
        site.unit(unit_id)
    site.unit("doors", doors=2)
    site.unit("unlinked", is_linked=False)
    for unit_id in [unit["unit_id"] for unit in site.lake["space_unit"]]:
        if unit_id not in ("dark", "partial"):
            site.chunks(f"cam-{unit_id}", f"{DAY} 07:00", f"{DAY} 11:00")
        if unit_id not in ("unlinked", "refused", "early"):
            site.asked(unit_id, f"{DAY} 00:00", "2023-02-09 00:00", LATER)
    site.chunks("cam-partial", NINE, f"{DAY} 09:45")
    site.asked("refused", NINE, "2023-02-08 11:00", LATER, refused="E_FEED_REFUSED")
    site.asked("early", NINE, "2023-02-08 11:00", f"{DAY} 11:05")
    for unit_id, hour, entries, tickets in [
        ("0001", NINE, 100, 25),
        ("0001", TEN, 120, 30),
        ("0002", NINE, 140, 150),
        ("0002", TEN, 400, 230),
        ("partial", NINE, 90, 30),
        ("doors", NINE, 10, 2),
        ("unlinked", NINE, 5, 0),
        ("refused", NINE, 5, 0),
        ("early", NINE, 8, 2),
        ("leaves", NINE, 4, 1),
        ("dark", NINE, 0, 10),
    ]:
        site.crossings(unit_id, hour, entries)
        if tickets:
            site.tickets(unit_id, hour, tickets, f"{DAY} 11:05" if unit_id == "early" else LATER)
    site.crossings("0001", f"{DAY} 07:30", 3)
    add_passed_unit(site)
    site.tickets("stray", NINE, 4, LATER)  # of a code that is linked to nothing
    site.refused("E_ROW_TYPE", LATER)
    add_zones(site)
    add_staffed_unit(site)
    add_units_with_categories(site)
    return site


def add_passed_unit(site):
    """200 pass at nine, both ways, 24 enter, 15 engage and 6 buy; 22 leave, 2 of them at ten."""
    site.unit("passed")
    site.chunks("cam-passed", f"{DAY} 07:00", f"{DAY} 11:00")
    site.asked("passed", f"{DAY} 00:00", "2023-02-09 00:00", LATER)
    key, shape = {"site_id": "sp", "unit_id": "passed"}, {"geometry_version": "g1", **ALWAYS}
    street = {"line_id": "passed-street", "role": "outside"}
    site.lake["space_line"].append({**key, **street, **shape})
    site.lake["space_zone"].append({**key, "zone_id": "floor", "role": "selling", **shape})
    site.sees("cam-passed", "line", "passed-street")
    site.sees("cam-passed", "zone", "floor")
    site.crossings("passed", NINE, 120, line="street")
    site.crossings("passed", NINE, 80, "out", line="street")
    site.crossings("passed", NINE, 24)
    site.crossings("passed", NINE, 20, "out")
    site.crossings("passed", TEN, 2, "out")
    site.tickets("passed", NINE, 6, LATER)
    for n in range(24):
        site.lake["visits"].append(visit(site, n, 60.0 if n < 15 else 59.9))


def visit(site, n, dwell_s):
    """One visit of a tracklet to the floor of the unit that people pass, at nine."""
    start = site.at(NINE) + timedelta(minutes=n)
    return {
        "site_id": "sp",
        "unit_id": "passed",
        "zone_id": "floor",
        "tracklet_id": f"passed{n}",
        "entered_at_utc": start,
        "left_at_utc": start + timedelta(seconds=dwell_s),
        "dwell_s": dwell_s,
        "is_start_censored": False,
        "is_end_censored": False,
        "hour_start_utc": site.at(NINE),
        "rule_version": 1,
        "geometry_version": "g1",
    }


def add_staffed_unit(site):
    """120 entries at nine, 20 of them staff, 25 tickets; a queue, and a desk without staff."""
    site.unit("staffed")
    site.chunks("cam-staffed", f"{DAY} 07:00", f"{DAY} 11:00")
    site.asked("staffed", f"{DAY} 00:00", "2023-02-09 00:00", LATER)
    site.crossings("staffed", NINE, 120)
    site.tickets("staffed", NINE, 25, LATER)
    lake = site.lake
    lake["space_staff"].append({"site_id": "sp", "min_s": 600.0})
    # the rule flags a tracklet of a unit where it does not hold, too
    for tracklet in [r["tracklet_id"] for r in lake["line_crossings"] if r["unit_id"] == "0001"][
        :5
    ]:
        lake["tracklet_staff"].append(flag(tracklet))
    for row in [r for r in lake["line_crossings"] if r["unit_id"] == "staffed"][:20]:
        lake["tracklet_staff"].append(flag(row["tracklet_id"]))
    key = {"site_id": "sp", "unit_id": "staffed"}
    always = {"valid_from_utc": None, "valid_to_utc": None}
    for zone_id, role in {"line": "queue", "desk": "service", "behind": "staff"}.items():
        shape = {"zone_id": zone_id, "role": role, "geometry_version": "g1"}
        lake["space_zone"].append({**key, **shape, **always})
        site.sees("cam-staffed", "zone", zone_id)
    lake["space_zone_leads_to"].append(
        {**key, "zone_id": "line", "service_zone_id": "desk", **always}
    )
    versions = {"rule_version": 1, "geometry_version": "g1", "hour_start_utc": site.at(NINE)}
    for part in ((600.0, 0.0), (1500.0, 900.0)):  # as of two UTC days
        seconds = dict(zip(("customer_s", "uncovered_s"), part, strict=True))
        lake["zone_staffing"].append({**key, **versions, "zone_id": "desk", **seconds})
    waits = [(60, "served"), (120, "served"), (180, "served"), (240, "served"), (300, "served")]
    for n, (wait_s, outcome) in enumerate([*waits, (420, "abandoned"), (5, "balked")]):
        lake["queue_events"].append(
            {
                **key,
                **versions,
                "zone_id": "line",
                "tracklet_id": f"q{n}",
                "joined_at_utc": site.at(NINE),
                "ended_at_utc": site.at(NINE) + timedelta(seconds=wait_s),
                "outcome": outcome,
                "wait_s": float(wait_s),
                "is_join": outcome != "balked",
                "is_censored": False,
            }
        )


def add_units_with_categories(site):
    """Unit "goods" has a feed by category, unit "lined" tickets with lines; both show their goods.

    At nine "goods" sells for 150 EUR, 100 of it shoes, which three zones show, and 40 bags; one
    zone has 16 visits.
    """
    for unit_id in ("goods", "lined"):
        site.unit(unit_id)
        site.chunks(f"cam-{unit_id}", f"{DAY} 07:00", f"{DAY} 11:00")
        site.asked(unit_id, f"{DAY} 00:00", "2023-02-09 00:00", LATER)
    shown = {"aisle": ("bags", "shoes"), "bench": ("shoes",), "corner": ("shoes",)}
    for zone_id, categories in shown.items():
        add_selling_zone(site, "goods", zone_id, categories)
    add_selling_zone(site, "lined", "front", ("bags", "shoes"))
    site.sees("cam-goods", "zone", "bench")
    add_visits(site, "goods", "bench", 16)
    goods = {"currency": "EUR", "tax_included": True}
    for n, (category, count, net, units) in enumerate(
        [(None, 10, "150", 12), ("shoes", 4, "100", 5), ("bags", 7, "40", 6)]
    ):
        amounts = {"category": category, "net_sales": Decimal(net), "units": units}
        site.tickets("goods", NINE, count, LATER, row_number=n, **amounts, **goods)
    hour = {"net_sales": Decimal(105), "gross_sales": Decimal(135), "returns_amount": Decimal(30)}
    site.tickets("lined", NINE, 3, LATER, num_returns=1, units=4, **hour, **goods)
    early = "2023-02-08 12:00"
    for ticket_id, kind, lines, fetched in [
        ("both", "sale", [("shoes", "60"), ("bags", "40")], LATER),
        ("part", "sale", [("bags", "20"), (None, "5")], LATER),
        ("back", "return", [("shoes", "-30")], LATER),
        ("void", "void", [("shoes", "500")], LATER),
        ("edit", "sale", [("hats", "999")], early),
        ("edit", "sale", [("shoes", "10")], LATER),
    ]:
        site.ticket("lined", ticket_id, NINE, kind, lines, fetched)


def add_selling_zone(site, unit_id, zone_id, categories):
    key = {"site_id": site.site_id, "unit_id": unit_id, "zone_id": zone_id}
    always = {"valid_from_utc": None, "valid_to_utc": None}
    site.lake["space_zone"].append({**key, "role": "selling", "geometry_version": "g1", **always})
    for category in categories:
        site.lake["space_zone_category"].append({**key, "category": category, **always})


def add_visits(site, unit_id, zone_id, count):
    for n in range(count):
        site.lake["visits"].insert(
            0,
            {
                "site_id": site.site_id,
                "unit_id": unit_id,
                "zone_id": zone_id,
                "tracklet_id": f"{zone_id}-{n}",
                "entered_at_utc": site.at(NINE),
                "left_at_utc": site.at(f"{DAY} 09:01"),
                "dwell_s": 60.0,
                "is_start_censored": False,
                "is_end_censored": False,
                "hour_start_utc": site.at(NINE),
                "rule_version": 1,
                "geometry_version": "g1",
            },
        )


def flag(tracklet):
    shared = {"site_id": "sp", "is_staff": True, "staff_zone_s": 600.0, "rule_version": 1}
    return {**shared, "tracklet_id": tracklet}


def add_zones(site):
    for zone_id, unit_id in {"hall": "_common", "window": "0001"}.items():
        site.lake["space_zone"].append(
            {
                "site_id": "sp",
                "unit_id": unit_id,
                "zone_id": zone_id,
                "role": "passage",
                "geometry_version": "g1",
                "valid_from_utc": None,
                "valid_to_utc": None,
            }
        )
    site.sees("cam-0001", "zone", "hall")
    shared = {"site_id": "sp", "unit_id": "_common", "zone_id": "hall"}
    versions = {"rule_version": 1, "geometry_version": "g1", "hour_start_utc": site.at(NINE)}
    for n, dwell_s in enumerate([0.1, 0.2, 0.3]):
        site.lake["visits"].append(
            {
                **shared,
                **versions,
                "tracklet_id": f"t{n}",
                "entered_at_utc": site.at(NINE),
                "left_at_utc": site.at(f"{DAY} 09:01"),
                "dwell_s": dwell_s,
                "is_start_censored": False,
                "is_end_censored": False,
            }
        )
    site.lake["zone_occupancy"].append(
        {
            **shared,
            **versions,
            "minute_utc": site.at(NINE),
            "person_seconds": 0.6,
            "max_occupancy": 2,
            "distinct_count": 3,
        }
    )


def madrid():
    site = SmallSite("es", "Europe/Madrid", OpeningHours())
    site.calendar("2026-10-25 00:00", "2026-10-26 00:00")
    site.unit("0001")
    site.chunks("cam-0001", "2026-10-25 00:00", "2026-10-25 01:00")
    return site


def kathmandu():
    site = SmallSite("np", "Asia/Kathmandu", OpeningHours())
    site.calendar("2026-03-02 00:00", "2026-03-03 00:00")
    site.unit("k1")
    site.chunks("cam-k1", "2026-03-02 00:00", "2026-03-03 00:00", minutes=24 * 60)
    for first, until in [
        ("2026-03-01 05:45", "2026-03-02 05:45"),
        ("2026-03-02 05:45", "2026-03-03 05:45"),
    ]:
        site.asked("k1", first, until, "2026-03-09 00:00")
    return site


def lake_of(*sites):
    lake = {}
    for site in sites:
        for name, rows in site.lake.items():
            lake.setdefault(name, []).extend(rows)
    return lake


def changed(site):
    """Late, restated and vanished inputs; gives the new site and the hours they touch."""
    site = copy.deepcopy(site)
    lake = site.lake
    touched = []
    site.chunks("cam-dark", NINE, TEN)
    site.crossings("dark", NINE, 40)
    touched += site.affected("dark", NINE)
    site.tickets("0001", NINE, 27, "2023-02-13 12:00")
    site.asked("0001", NINE, TEN, "2023-02-13 12:00")
    touched += site.affected("0001", NINE)
    tens = [row for row in lake["line_crossings"] if row["unit_id"] == "0002"]
    lake["line_crossings"] = [r for r in lake["line_crossings"] if r not in tens[-10:]]
    lake["visits"].pop()
    touched += site.affected("0002", TEN) + site.affected("_common", NINE)
    lake["visits"].pop(0)
    touched += site.affected("passed", NINE)
    lake["space_link"] = [r for r in lake["space_link"] if r["unit_id"] != "early"]
    touched += site.affected("early")
    for name in ("space_unit", "space_tenancy", "space_line", "space_link", "line_crossings"):
        lake[name] = [r for r in lake[name] if r["unit_id"] != "leaves"]
    # redrawn and calibrated anew, and nobody was there
    next(r for r in lake["space_zone"] if r["zone_id"] == "window")["geometry_version"] = "g2"
    lake["space_camera"][0]["camera_version"] = "c2"
    touched += site.affected("leaves")
    lake["tracklet_staff"][-1]["is_staff"] = False
    lake["queue_events"].pop()
    touched += site.affected("staffed", NINE)
    # "goods" sells no bags any more and shows shoes in two zones; a ticket of "lined" is void
    goods = {"currency": "EUR", "tax_included": True}
    site.tickets("goods", NINE, 9, "2023-02-13 12:00", net_sales=Decimal(120), **goods)
    shoes = {"category": "shoes", "net_sales": Decimal(115), "row_number": 1}
    site.tickets("goods", NINE, 9, "2023-02-13 12:00", **shoes, **goods)
    lake["space_zone_category"] = [
        r for r in lake["space_zone_category"] if r["zone_id"] != "corner"
    ]
    touched += site.affected("goods")
    site.ticket("lined", "both", NINE, "void", [], "2023-02-13 12:00")
    site.tickets("lined", NINE, 2, "2023-02-13 12:00", net_sales=Decimal(5), **goods)
    touched += site.affected("lined", NINE)
    site.calendar("2023-02-09 00:00", "2023-02-09 02:00")
    for unit in lake["space_unit"] + [{"unit_id": "_common"}]:
        touched += site.affected(unit["unit_id"], "2023-02-09 00:00", "2023-02-09 01:00")
    return site, touched
