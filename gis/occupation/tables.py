"""All tables of one site, by their stable keys."""

from __future__ import annotations

import shapely

from gis.ground import Ground
from gis.occupation import duties, land, lines
from gis.occupation.case import Case, Rows
from layers.units import m2

READ = ("land_use", "survey_slope", "plan_zoning", *lines.LINES, *lines.RESTRICTING, *lines.PROMISED)


def tables(case: Case) -> dict[str, Rows]:
    """Every table of `catalogue.TABLES`: key -> rows whose keys are the table's columns, in the order of both."""
    ground = case.ground
    return {
        "basic": duties.basic(case),
        "sources": duties.sources(case, READ),
        "land_class_summary": land.land_class_summary(ground),
        "land_classes": [*land.land_classes(ground), *land.uncovered(ground)],
        "patches": land.patches(case),
        "ownership_summary": land.ownership_summary(ground),
        "planning": lines.planning(case),
        "control_lines": lines.control_lines(case),
        "restrictions": lines.restrictions(case),
        "allocation": lines.allocation(case),
        "balance": duties.balance(case),
        "land_saving": duties.land_saving(case),
        "notes": duties.notes(case, READ),
    }


def zone_shares(ground: Ground) -> list[tuple[str, float]]:
    """(zone id, share of the first site) by descending share."""
    layer = ground.layer("zones")
    if layer is None:
        return []
    table = ground.overlaps("zones", layer)
    mine = table.site == 0
    ids = layer.column("id")
    pairs = zip(table.feature[mine].tolist(), table.area_m2[mine].tolist(), strict=True)
    shares = [(str(ids[row]), area_m2 / float(ground.area_m2[0])) for row, area_m2 in pairs]
    return sorted(shares, key=lambda pair: -pair[1])


def control_area_m2(geometry: shapely.Geometry) -> float:
    """The one area that verdict, quota and report read: the plane area in the working CRS, half up to 0.01 m2."""
    return float(m2(float(shapely.area(geometry))))
