"""A boundary file, read and shown: what it holds, in which CRS and encoding it is, and every fault at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
import shapely
from fastapi import APIRouter, Depends, Form, Response, UploadFile
from pydantic import Field

from api.answers import check_id, geojson
from api.auth import CHECK, allow
from api.county import County, county_of
from api.imports import NAME_OF_ENCODING
from api.wording import fault_row
from gis.occupation import control_area_m2
from layers.access import User
from layers.area import ellipsoid_m2
from layers.errors import Fault, TooLarge
from layers.ingest import Prepared, prepare
from layers.records import Strict
from layers.units import mu

router = APIRouter(prefix="/uploads", tags=["uploads"])
MOST_FEATURES = 2_000  # a site is a few plots; a whole layer is imported, not uploaded


class UploadForm(Strict):
    """The file, and what it does not say itself."""

    file: UploadFile
    crs: Annotated[str, Field(max_length=200, examples=["EPSG:4545"])] | None = None
    encoding: Annotated[str, Field(pattern=NAME_OF_ENCODING)] | None = None
    layer: Annotated[str, Field(max_length=200)] | None = None


@router.post("", status_code=201)
def create(
    said: Annotated[UploadForm, Form(media_type="multipart/form-data")],
    county: Annotated[County, Depends(county_of)],
    user: Annotated[User, Depends(allow(*CHECK))],
) -> Response:
    """Read a boundary. Its `id` is a site: `{"site": {"upload": id}}` in a check, as long as nothing was rejected."""
    key = check_id()
    kept = county.inbox.keep(key, said.file.filename or "", said.file.file)
    try:
        with county.reading():
            prepared = prepare(
                kept.path, "plots", county.store.crs, crs=said.crs, encoding=said.encoding, layer=said.layer
            )
    finally:
        county.inbox.drop(key)
    if len(prepared.features) > MOST_FEATURES:
        raise TooLarge(f"{len(prepared.features):,} features are a layer, not a site; a reviewer imports it")
    body = {
        "id": key,
        "file": kept.path.name,
        "sha256": kept.sha256,
        "by": user.name,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **_shown(prepared, county),
    }
    # the ground to the last digit, so that a check measures what was sent and not what JSON rounds it to
    ground = [shapely.to_wkb(piece, hex=True) for piece in prepared.geometries] if body["usable"] else []
    county.store.save("upload_ground", key, {"file": body["file"], "parts": ground})
    text = county.store.save("upload", key, body)
    county.access.record(user.name, "upload", f"{key} {kept.path.name}", "usable" if body["usable"] else "faulty")
    return Response(text, 201, {"Location": f"/uploads/{key}"}, "application/json")


@router.get("/{upload_id}")
def read(
    upload_id: str, county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*CHECK))]
) -> dict[str, Any]:
    """A boundary that was sent, as it was read."""
    return county.scope(user).upload(upload_id)


def _shown(prepared: Prepared, county: County) -> dict[str, Any]:
    ground = np.asarray(prepared.geometries, dtype=object)
    whole = shapely.union_all(ground)
    crs = county.store.crs
    faults = [*prepared.rejected]
    shared_m2 = float(shapely.area(ground).sum() - whole.area)
    if shared_m2 > 1.0:
        fix = "Draw each piece of ground once; a hole belongs into the plot around it"
        faults.append(Fault(f"its features share {shared_m2:,.1f} m2", fix, file=prepared.layer.source))
    drawn = geojson([whole, *ground], crs)
    rows = prepared.features.astype(object).where(prepared.features.notna(), None)
    return {
        "found": dict(prepared.found),
        "features_in": prepared.features_in,
        "usable": not faults,
        "faults": [fault_row(one) for one in faults],
        "notes": [fault_row(one) for one in prepared.notes],
        "geometry": drawn[0],
        "area_m2": control_area_m2(whole),
        "area_ellipsoid_m2": round(float(ellipsoid_m2(whole, crs)), 2),
        "area_mu": float(mu(whole.area)),
        "features": [
            {
                "id": str(row["id"]),
                "geometry": shape,
                "area_m2": control_area_m2(piece),
                "attributes": {name: _plain(value) for name, value in row.items() if name != "id"},
            }
            for (_, row), piece, shape in zip(rows.iterrows(), ground, drawn[1:], strict=True)
        ],
    }


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if plain is None or isinstance(plain, (str, int, float, bool)) else str(plain)
