"""What the tables read: one site's ground and, where a project is judged on it, the findings and the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gis.accuracy import classes
from gis.check import Checked
from gis.explain import Finding, Names
from gis.ground import SLIVER_M2, Ground
from gis.intervals import Interval
from gis.published import Published, published
from gis.rules import Rule
from layers.records import Project, Snapshot
from layers.units import round_half_up

Row = dict[str, Any]
Rows = list[Row]


@dataclass(frozen=True)
class Case:
    """One cell spelled out. Without a project (a parcel's dossier) the findings are none.

    `own` are the parcels and plots the site is made of, `names` the layer roles in Chinese and English.
    """

    ground: Ground
    names: Names = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    rules: Sequence[Rule] = ()
    project: Project | None = None
    needs: Mapping[str, Interval] = field(default_factory=dict)
    purpose: str | None = None
    rulebook_digest: str | None = None
    own: frozenset[str] = frozenset()
    area_ellipsoid_m2: float | None = None

    @classmethod
    def of(
        cls,
        checked: Checked,
        i: int,
        j: int,
        findings: Sequence[Finding],
        names: Names,
        *,
        own: frozenset[str] = frozenset(),
        area_ellipsoid_m2: float | None = None,
    ) -> Case:
        """The cell of site `i` and project `j` of a check."""
        return cls(
            checked.ground(i),
            names,
            findings,
            checked.rulebook.rules,
            checked.projects[j],
            {name: column[j : j + 1] for name, column in checked.needs.items()},
            checked.purpose,
            checked.rulebook.digest,
            own,
            area_ellipsoid_m2,
        )

    def named(self, role: str) -> Row:
        """The columns that name a layer in a row."""
        zh, en = self.names.get(role, (role, role))
        return {"layer": role, "layer_zh": zh, "layer_en": en}

    def published(self, role: str) -> tuple[Snapshot, Published] | None:
        """The closed overlap of the site with a polygon layer; None where it is not loaded."""
        layer = self.ground.layer(role)
        if layer is None:
            return None
        return layer, self.ground.once(("published", role), lambda ground: published(ground, layer))

    def accuracy(self, role: str) -> list[str]:
        """How sure each row of the published overlap with a layer is."""
        layer = self.ground.layer(role)
        assert layer is not None
        real = self.ground.overlaps(role, layer).area_m2 > SLIVER_M2
        if not real.any():
            return []
        return [str(one) for one in classes(self.ground, role).accuracy[real]]

    def surveyed(self, layer: Snapshot) -> bool:
        return bool(self.ground.surveyed(layer)[0])


def m2(square_metres: float) -> float:
    """Square metres to 0.01; less than half of that is shown as it is, because a touch is never nothing."""
    small = 0 < square_metres < 0.005
    return float(round_half_up(square_metres, 6 if small else 2))


def share(hundredths: float, whole: float) -> float:
    return float(round_half_up(hundredths / whole, 6))


def said(value: object) -> Any:
    """An attribute as JSON takes it; what the survey did not say is null."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or plain != plain:
        return None
    return int(plain) if isinstance(plain, float) and plain.is_integer() and abs(plain) < 1e15 else plain


def area(value: object) -> float | None:
    """An area a survey says, or null."""
    plain = said(value)
    return None if plain is None else float(plain)
