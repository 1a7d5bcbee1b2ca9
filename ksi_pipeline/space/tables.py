"""A space file as dimension tables: one set per version of the file, rows with their validity."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ksi_pipeline.core.geometry import polygon_area, polygon_wkt
from ksi_pipeline.core.queues import service_zones
from ksi_pipeline.core.schemas import SPACE_TABLES
from ksi_pipeline.space.load import Space, camera_version


def space_tables(space: Space) -> dict[str, pa.Table]:
    """Give the dimension tables of a space file, by dataset name, in the order of the file.

    Validity is half-open in UTC instants: a date begins at the site's local midnight; null means
    without beginning or end.
    """
    rows = {
        "space_site": [_site(space)],
        "space_unit": [
            {"unit_id": unit.id, "floor": unit.floor, "name": unit.name}
            for unit in space.file.units
        ],
        "space_area": [
            {
                "unit_id": unit.id,
                "gla_m2": area.gla_m2,
                "selling_m2": area.selling_m2,
                **_validity(space, area),
            }
            for unit in space.file.units
            for area in unit.areas
        ],
        "space_tenancy": [
            {
                "unit_id": unit.id,
                "tenant_id": tenancy.tenant,
                "operator_id": tenancy.operator,
                "category": tenancy.category,
                "share": tenancy.share,
                **_validity(space, tenancy),
            }
            for unit in space.file.units
            for tenancy in unit.tenancies
        ],
        **_shapes(space),
        **_cameras(space),
        "space_link": [
            {
                "unit_id": link.unit,
                "connector_id": link.connector,
                "ext_ref_code": link.ext_ref_code,
                **_validity(space, link),
            }
            for link in space.file.links
        ],
        "space_staff": [{"min_s": staff.min_s}] if (staff := space.file.staff) else [],
    }
    return {name: _table(name, space.site_id, rows[name]) for name in SPACE_TABLES}


def _site(space: Space) -> dict[str, Any]:
    site = space.file.site
    return {
        "name": site.name,
        "timezone": site.timezone,
        "currency": site.currency,
        "business_day_start": site.business_day_start.strftime("%H:%M"),
        "space_version": space.version,
    }


def _shapes(space: Space) -> dict[str, list[dict[str, Any]]]:
    plan = space.plan()
    zones = [
        {
            "zone_id": shape.zone_id,
            **_shape(shape),
            "area_m2": polygon_area(shape.polygon),
            "polygon_wkt": polygon_wkt(shape.polygon),
            **_validity(space, entry),
        }
        for shape, entry in zip(plan.zones, space.file.zones, strict=True)
    ]
    lines = [
        {"line_id": shape.line_id, **_shape(shape), **_validity(space, entry)}
        for shape, entry in zip(plan.lines, space.file.lines, strict=True)
    ]
    queues = [
        {
            "unit_id": shape.unit_id,
            "zone_id": shape.zone_id,
            "service_zone_id": zone_id,
            **_validity(space, entry),
        }
        for shape, entry in zip(plan.zones, space.file.zones, strict=True)
        if shape.role == "queue"
        for zone_id in service_zones(shape, plan)
    ]
    categories = [
        {
            "unit_id": zone.unit,
            "zone_id": zone.id,
            "category": category,
            **_validity(space, zone),
        }
        for zone in space.file.zones
        for category in dict.fromkeys(zone.categories)
    ]
    return {
        "space_zone": zones,
        "space_line": lines,
        "space_zone_leads_to": queues,
        "space_zone_category": categories,
    }


def _shape(shape: Any) -> dict[str, Any]:
    return {
        "unit_id": shape.unit_id,
        "role": shape.role,
        "geometry_version": shape.geometry_version,
    }


def _cameras(space: Space) -> dict[str, list[dict[str, Any]]]:
    zones = {zone.id for zone in space.file.zones}
    cameras = [
        {"camera_id": c.id, "camera_version": camera_version(c), **_validity(space, c)}
        for c in space.file.cameras
    ]
    sees = [
        {
            "camera_id": camera.id,
            "sees_kind": "zone" if seen in zones else "line",
            "sees_id": seen,
            **_validity(space, camera),
        }
        for camera in space.file.cameras
        for seen in camera.sees
    ]
    return {"space_camera": cameras, "space_camera_sees": sees}


def _validity(space: Space, entry: Any) -> dict[str, Any]:
    return {
        "valid_from_utc": space.instant(entry.valid_from),
        "valid_to_utc": space.instant(entry.valid_to),
    }


def _table(name: str, site_id: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"site_id": site_id, **row} for row in rows], schema=SPACE_TABLES[name]
    )
