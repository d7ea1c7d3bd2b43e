"""The small county cut into two zones, with people of its own: what a role may and what a zone hides."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import shapely
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from layers.access import ROLES, Access
from layers.gpkg import GeoPackage
from layers.ingest import from_frame
from tests.counties import EAST, EXTENT, NORTH, TEA, found_county

WEST_PARCEL, EAST_PARCEL = "520625001001GB00001", "520625001001GB00003"
HERE = "http://127.0.0.1"


def two_zones(path: Path) -> GeoPackage:
    """West of 150 m lies zone W (unit code U-W), from there to 250 m zone E (U-E), beyond it none; each zone has its
    project and the west two parcels, the east one."""
    store = found_county(path)
    ground = [
        shapely.box(EAST + west, NORTH - 5e3, EAST + east, NORTH + 5e3) for west, east in ((-5e3, 150), (150, 350))
    ]
    frame = gpd.GeoDataFrame(
        {
            "id": ["W", "E"],
            "name": ["西区", "东区"],
            "kind": ["belt", "belt"],
            "industries": ["15,26,30"] * 2,
            "unit_code": ["U-W", "U-E"],
        },
        geometry=ground,
        crs=4545,
    )
    store.put(from_frame(frame, "zones", source="tests", extent=EXTENT), by="tests")
    for zone in "WE":
        store.save("project", f"TEA-{zone}", {**TEA, "id": f"TEA-{zone}", "zone": zone})
    return store


def people(path: Path) -> dict[str, str]:
    """A key for every role, planners of either zone (the west by its unit code) and another reviewer."""
    access = Access(path)
    keys = {role: access.add(f"{role}-1", role, ["*"] if role == "planner" else None) for role in ROLES}
    keys["west"] = access.add("planner-west", "planner", ["U-W"])
    keys["east"] = access.add("planner-east", "planner", ["E"])
    keys["reviewer-2"] = access.add("reviewer-2", "reviewer")
    access.close()
    return keys


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def served(path: Path, **settings: object) -> TestClient:
    app = create_app(Settings(county=path, **settings))  # type: ignore[arg-type]
    return TestClient(app, base_url=HERE, raise_server_exceptions=False)
