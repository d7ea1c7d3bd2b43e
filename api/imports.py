"""Bringing a layer in: the options people give, what reading found, and the report that somebody approves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import shapely
from pydantic import Field, field_validator

from api.sites import Geometry, ground_of
from api.wording import fault_row
from layers.errors import BadInput, Fault
from layers.ingest import Prepared, prepare
from layers.records import Layer, Strict
from layers.store import Store

NAME_OF_ENCODING = r"^[A-Za-z0-9_.:-]{1,40}$"
MOST_EXTENT_VERTICES = 200_000
MOST_SHOWN = 200  # faults of one kind that a report spells out; the rest are counted
State = Literal["pending", "stored", "rejected"]


class ImportIn(Strict):
    """What the file does not say, or says wrongly. `fields` binds our column to the file's field, or to `=constant`.
    `extent` is the ground that was surveyed, as GeoJSON in lon/lat; without it the box around the features counts."""

    crs: Annotated[str, Field(max_length=200, examples=["EPSG:4545"])] | None = None
    encoding: Annotated[str, Field(pattern=NAME_OF_ENCODING, examples=["GB18030"])] | None = None
    layer: Annotated[str, Field(max_length=200)] | None = None
    fields: dict[str, str] = Field(default_factory=dict)
    extent: Geometry | None = None
    vintage: Annotated[str, Field(max_length=40, examples=["2024"])] | None = None
    accuracy_m: Annotated[float, Field(ge=0, le=20)] | None = None
    classification: Literal["公开", "内部", "秘密"] = "内部"

    @field_validator("fields", "extent", mode="before")
    @classmethod
    def _from_a_form(cls, value: Any) -> Any:
        """A form field is text; an object in it is JSON."""
        if isinstance(value, str):
            try:
                return json.loads(value) if value.strip() else None
            except RecursionError as error:
                raise ValueError("it is nested too deep") from error
        return value


def read_layer(path: Path, role: str, store: Store, said: ImportIn) -> Prepared:
    """The file as a layer of the role in the county's working CRS, with everything that is wrong with it."""
    return prepare(
        path,
        role,
        store.crs,
        crs=said.crs,
        encoding=said.encoding,
        fields=said.fields,
        layer=said.layer,
        extent=_extent(said, store),
        neighbourhood=store.bounds(),
        vintage=said.vintage,
        accuracy_m=said.accuracy_m,
        classification=said.classification,
    )


def _extent(said: ImportIn, store: Store) -> shapely.Geometry | None:
    if said.extent is None:
        return None
    faults: list[Fault] = []
    ground = ground_of(said.extent, None, store.crs, "extent", MOST_EXTENT_VERTICES, faults)
    if faults:
        raise BadInput("the surveyed extent cannot be used", faults)
    return ground


def report(prepared: Prepared, layer: Layer, *, extent_given: bool) -> dict[str, Any]:
    """What was found in a file, for the command line, the one who sent it and the one who approves it."""
    return {
        "role": layer.role,
        "version": layer.version or None,
        "digest": layer.digest,
        "features_in": prepared.features_in,
        "loaded": layer.loaded,
        "rejected": _told(prepared.rejected),
        "notes": _told(prepared.notes),
        "found": dict(prepared.found),
        "fields": layer.fields,
        "synthetic": layer.synthetic,
        "accuracy_m": layer.accuracy_m,
        "classification": layer.classification,
        "extent": "as given" if extent_given else "the box around the features",
    }


def _told(faults: tuple[Fault, ...]) -> dict[str, Any]:
    return {"count": len(faults), "first": [fault_row(one) for one in faults[:MOST_SHOWN]]}
