"""A checked cell as the contract's Check: the one place where it is dressed, for HTTP and the command line alike."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import time
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from api.opinions import remains
from gis import occupation
from gis.check import Checked
from gis.estimate import Estimate, estimate
from gis.explain import Finding, conclusion, findings, verdict
from gis.ground import Ground
from gis.intervals import Interval
from gis.mending import Allowed, Remedy, mend
from gis.principles import FIVE, Measured, columns_of, measured
from gis.remedies import remedy
from gis.rules import Rulebook
from layers import area as ellipsoid
from layers.crs import to_lonlat
from layers.records import Part, Site, World
from layers.schema import roles
from layers.units import m2, mu

QUOTA = ("new_construction", "agricultural", "cultivated", "paddy")
QUOTA_FACTS = tuple(f"quota_{kind}_m2" for kind in QUOTA)
LONLAT_DECIMALS = 10  # 0.01 mm, so that a site sent back has the area it was given


def check_id() -> str:
    """An id that sorts by time and cannot be guessed."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(6)}"


@lru_cache(maxsize=1)
def role_names() -> dict[str, tuple[str, str]]:
    return {name: (role.zh, role.en) for name, role in roles().items()}


def answer(checked: Checked, i: int, j: int, site: Site, *, key: str | None = None) -> dict[str, Any]:
    """The Check of site `i` and project `j`; numbers are finite or null, geometries lon/lat GeoJSON."""
    ground = checked.ground(i)
    found = findings(checked, i, j, role_names(), ground)
    result = verdict(checked, i, j)
    measures = list(measured(checked, i, j))
    facts = _facts(checked, i, j)
    ellipsoid_m2 = float(m2(ellipsoid.ellipsoid_m2(site.geometry, checked.world.crs)))
    case = occupation.Case.of(checked, i, j, found, role_names(), own=_own(site), area_ellipsoid_m2=ellipsoid_m2)
    tables = occupation.tables(case)
    geometries = [site.geometry, *(part.geometry for part in site.parts), *(one.evidence for one in found)]
    drawn = geojson(geometries, checked.world.crs)
    count = 1 + len(site.parts)
    fixes = [
        remedy(checked, rule, i, j, ground) if one.status == "fail" else None
        for rule, one in zip(checked.rules, found, strict=True)
    ]
    told = [_finding(one, shape, fix) for one, shape, fix in zip(found, drawn[count:], fixes, strict=True)]
    return {
        "id": key or check_id(),
        "purpose": checked.purpose,
        "verdict": result.name.lower(),
        "conclusion": conclusion(result),
        "site": _site(site, ground, checked.world.crs, drawn[:count], ellipsoid_m2),
        "project": checked.projects[j].model_dump(mode="json", exclude_none=True),
        "estimated": [_estimated(one) for one in estimate(checked.projects[j], checked.rulebook).estimates],
        "findings": told,
        "land_use": [row for row in tables["land_classes"] if row["code"] is not None],
        "occupation": tables,
        "quota_need": {f"{kind}_m2": facts.get(f"quota_{kind}_m2") for kind in QUOTA},
        "facts": facts,
        "principles": [_measure(one) for one in measures if one.of.principle in FIVE],
        "nearness": [_measure(one) for one in measures if one.of.principle not in FIVE],
        "opinions": [],
        "remains": remains(told, []),
        "rulebook_digest": checked.rulebook.digest,
        "facts_digest": hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest(),
        "layer_versions": {role: layer.label for role in roles() if (layer := ground.known(role)) is not None},
        "for_year": checked.world.for_year,
        "as_of": checked.world.as_of.isoformat(),
        "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def asked_columns(book: Rulebook) -> tuple[str, ...]:
    """What a check measures whether a rule asks for it or not."""
    return (*QUOTA_FACTS, *columns_of(book))


def _measure(one: Measured) -> dict[str, Any]:
    """A measure of a principle: `value` where it is exact, else its ends; `bound` says what null ends mean."""
    row = one.of
    return {
        "principle": row.principle,
        "zh": row.principle_zh,
        "en": row.principle_en,
        "measure": row.measure,
        "name": {"zh": row.zh, "en": row.en},
        "value": _round(one.value),
        "low": _round(one.low),
        "high": _round(one.high),
        "bound": one.bound,
        "unit": row.unit,
        "better": row.better,
        "note": None if one.note is None else dict(zip(("zh", "en"), one.note, strict=True)),
    }


def _finding(one: Finding, evidence: dict[str, Any] | None, fix: dict[str, str] | None) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "status": one.status,
        "severity": one.severity,
        "scope": one.scope,
        "value": _round(one.value),
        "value_bound": one.value_bound,
        "op": one.op,
        "limit": _round(one.limit),
        "unit": one.unit,
        "margin": _round(one.margin),
        "basis": one.basis,
        "edition": one.edition,
        "authority": one.authority,
        "verified": one.verified,
        "layer": one.layer,
        "layer_version": one.layer_version,
        "features": list(one.features),
        "accuracy": one.accuracy,
        "message": one.message,
        "remedy": fix,
        "evidence": evidence,
    }


def remedies(checked: Checked, i: int, j: int, allowed: Allowed | None = None) -> list[dict[str, Any]]:
    """What would make a failing cell pass, each checked again; ground in lon/lat GeoJSON."""
    found = mend(checked, i, j, allowed)
    drawn = geojson([one.geometry for one in found], checked.world.crs)
    return [_remedy(one, shape) for one, shape in zip(found, drawn, strict=True)]


def _remedy(one: Remedy, shape: dict[str, Any] | None) -> dict[str, Any]:
    move = None if one.move_m is None else dict(zip(("east_m", "north_m"), map(_round, one.move_m), strict=True))
    return {
        "kind": one.kind,
        "mends": list(one.mends),
        "leaves": list(one.leaves),
        "verdict": one.verdict.name.lower(),
        "message": {"zh": one.zh, "en": one.en},
        "geometry": shape,
        "area_m2": None if one.geometry is None else round(float(one.geometry.area), 2),
        "enough": one.enough,
        "move": move if move is None else move | {"distance_m": _round(math.hypot(*(one.move_m or (0.0, 0.0))))},
        "name": one.name,
        "account": one.account,
        "amount": one.amount,
        "unit": one.unit,
        "cost_wan": None if one.cost_wan is None else list(one.cost_wan),
        "year": one.year,
    }


def _estimated(one: Estimate) -> dict[str, Any]:
    """A demand the project left out, as industry knowledge estimates it."""
    said = asdict(one)
    return said | {name: _round(said[name]) for name in ("value", "low", "high")}


def _own(site: Site) -> frozenset[str]:
    """The parcels and plots a site is made of: they are no claim against it."""
    return frozenset(name for part in site.parts for name in (part.parcel, part.plot) if name is not None)


def _site(
    site: Site, ground: Ground, crs: CRS, drawn: list[dict[str, Any] | None], ellipsoid_m2: float
) -> dict[str, Any]:
    area_m2 = occupation.control_area_m2(site.geometry)
    return {
        "parts": [_part(part, shape) for part, shape in zip(site.parts, drawn[1:], strict=True)],
        "geometry": drawn[0],
        "zones": [{"zone": zone, "share": round(share, 6)} for zone, share in occupation.zone_shares(ground)],
        "area_m2": area_m2,
        "area_ellipsoid_m2": ellipsoid_m2,
        "area_mu": float(mu(area_m2)),
        "control_area_m2": area_m2,
        "area_method": f"plane, {crs.name}",
    }


def _part(part: Part, shape: dict[str, Any] | None) -> dict[str, Any]:
    named = {"parcel": part.parcel, "plot": part.plot}
    return {**{key: value for key, value in named.items() if value is not None}, "geometry": shape}


def _facts(checked: Checked, i: int, j: int) -> dict[str, float | None]:
    """Every measured number of the cell; null where it is unknown, unbounded or only bounded."""
    columns = {**{name: one[i : i + 1] for name, one in checked.facts.columns.items()}}
    columns |= {name: one[i : i + 1, j] for name, one in checked.meetings.items()}
    return {name: _exact(one) for name, one in sorted(columns.items())}


def _exact(one: Interval) -> float | None:
    lo, hi = float(one.lo[0]), float(one.hi[0])
    return _round(hi) if math.isfinite(hi) and lo == hi else None


def _round(number: float | None) -> float | None:
    """Six significant decimals are far below any survey; NaN and infinity are null in JSON."""
    return round(number, 6) if number is not None and math.isfinite(number) else None


def geojson(geometries: list[shapely.Geometry | None], crs: CRS) -> list[dict[str, Any] | None]:
    """Lon/lat GeoJSON of geometries in the working CRS, moved together."""
    array = np.array([*geometries, None], dtype=object)[:-1]
    to = to_lonlat(crs)

    def moved(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lon, lat = to.transform(x, y)
        return np.round(lon, LONLAT_DECIMALS), np.round(lat, LONLAT_DECIMALS)

    shapes = shapely.transform(array, moved, interleaved=False)
    return [None if text is None else json.loads(text) for text in shapely.to_geojson(shapes)]


def dossier(parcel: gpd.GeoDataFrame, world: World) -> dict[str, Any]:
    """What is known of one parcel (a frame of one row): boundary, areas, attributes, land use, occupation."""
    row = parcel.iloc[0]
    site = Site.of(Part(row.geometry, str(row["id"])))
    ground = Ground(np.array([row.geometry], dtype=object), world)
    ellipsoid_m2 = float(m2(ellipsoid.ellipsoid_m2(row.geometry, world.crs)))
    case = occupation.Case(ground, role_names(), own=_own(site), area_ellipsoid_m2=ellipsoid_m2)
    tables = occupation.tables(case)
    attributes = {
        name: None if pd.isna(value) else value.item() if isinstance(value, np.generic) else value
        for name, value in row.drop(["id", parcel.geometry.name]).items()
    }
    return {
        "id": str(row["id"]),
        "attributes": attributes,
        "site": _site(site, ground, world.crs, geojson([site.geometry, site.geometry], world.crs), ellipsoid_m2),
        "land_use": [row for row in tables["land_classes"] if row["code"] is not None],
        "occupation": tables,
        "as_of": world.as_of.isoformat(),
    }
