"""What one user sees of a county: those who hold some zones only see checks, projects and parcels of these, and the
rest answers as if it were not there (decision 0006)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from layers.access import User
from layers.errors import Fault, Refused, UnknownName
from layers.records import Bools, Geoms, Project, Site
from layers.store import Store

TOUCH_M2 = 1.0  # less shared ground than this is a drawn border, not ground of the zone


class Zones:
    """The zones of a county as they are now, read again when the layer has a new version."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._label = ""
        self._frame: gpd.GeoDataFrame | None = None

    def frame(self) -> gpd.GeoDataFrame | None:
        label = next((one.label for one in self._store.layers() if one.role == "zones"), "")
        if label != self._label:
            self._frame = self._store.frame("zones") if label else None
            self._label = label
        return self._frame

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Those names that are neither the id nor the unit code of a zone; none where no zones are loaded."""
        frame = self.frame()
        if frame is None:
            return []
        known = set(frame["id"].astype(str)) | (set(frame["unit_code"].astype(str)) if "unit_code" in frame else set())
        return sorted(set(names) - known - {"*"})


class Scope:
    """A user's view of the store. `held` None: all of it."""

    def __init__(self, store: Store, zones: Zones, user: User) -> None:
        self.user = user
        self._store = store
        self._held = user.zones
        self.names: frozenset[str] = frozenset()
        self._mine = self._others = shapely.Polygon()
        if user.zones is None:
            return
        frame = zones.frame()
        names = set(user.zones)
        if frame is not None:
            ids = frame["id"].astype(str).to_numpy()
            units = frame["unit_code"].astype(str).to_numpy() if "unit_code" in frame else ids
            own = np.isin(ids, list(user.zones)) | np.isin(units, list(user.zones))
            ground = np.asarray(frame.geometry.values, dtype=object)
            self._mine, self._others = shapely.union_all(ground[own]), shapely.union_all(ground[~own])
            names |= {*ids[own], *units[own]}
            if "name" in frame:
                names |= set(frame["name"].astype(str).to_numpy()[own])
        self.names = frozenset(names)

    @property
    def is_all(self) -> bool:
        return self._held is None

    def holds(self, zone: str | None) -> bool:
        """Whether a zone (id, unit code or name) is one of the user's; none is nobody's but theirs who hold all."""
        return self.is_all or (zone is not None and zone in self.names)

    def sees(self, ground: Geoms) -> Bools:
        """(N,) which pieces of ground share more than a border with the user's zones."""
        if self.is_all:
            return np.ones(len(ground), dtype=bool)
        shared: Bools = shapely.area(shapely.intersection(ground, self._mine)) > TOUCH_M2
        return shared

    # --- by id: what is not the user's is not there ---------------------------------------------------

    def check(self, key: str) -> dict[str, Any]:
        found = self._store.load("check", key)
        if not self.is_all and not any(one["zone"] in self.names for one in found["site"]["zones"]):
            raise UnknownName(f"no check {key!r}", check=key)
        return found

    def project(self, key: str) -> dict[str, Any]:
        found = self._store.load("project", key)
        if not self.holds(found.get("zone")):
            raise UnknownName(f"no project {key!r}", project=key)
        return found

    def projects(self) -> list[dict[str, Any]]:
        return [one for one in self._store.list("project") if self.holds(one.get("zone"))]

    def upload(self, key: str) -> dict[str, Any]:
        found = self._store.load("upload", key)
        if not self.is_all and found["by"] != self.user.name:
            raise UnknownName(f"no upload {key!r}", upload=key)
        return found

    def parcel(self, name: str) -> None:
        """UnknownName where the parcel, as it stood last, is not the user's."""
        if not self.is_all and not self.sees(np.array([self._store.fabric.history(name).states[-1].geometry]))[0]:
            raise UnknownName(f"no parcel {name!r}", parcel_id=name)

    def zone(self, name: str) -> None:
        if not self.holds(name):
            raise UnknownName(f"no zone {name!r}", zone_id=name)

    # --- what is sent ---------------------------------------------------------------------------------

    def named(self, sites: Iterable[Any]) -> None:
        """UnknownName where a site as it was sent names a parcel, a plot or an upload that is not the user's."""
        if self.is_all:
            return
        wanted: dict[str, set[str]] = {"parcels": set(), "plots": set()}
        for one in sites:
            if one.upload is not None:
                self._upload_ground(one.upload)
                continue
            wanted["parcels"] |= {part.parcel for part in one.as_parts() if part.parcel is not None}
            wanted["plots"] |= {part.plot for part in one.as_parts() if part.plot is not None}
        for role, names in wanted.items():
            if names and (hidden := sorted(names - self._seen(role, names))):
                noun = role.removesuffix("s")
                raise UnknownName(f"no {noun} {', '.join(hidden[:20])}", **{f"{noun}_id": hidden[0]})

    def _seen(self, role: str, names: set[str]) -> set[str]:
        """Those of some parcels or plots, standing or gone, that are the user's."""
        ground = self._store.ground(role, names)
        if role == "parcels":
            for name in names - ground.keys():
                with suppress(UnknownName):
                    ground[name] = self._store.fabric.history(name).states[-1].geometry
        some = [name for name in names if name in ground]
        mine = self.sees(np.array([ground[name] for name in some], dtype=object))
        return {name for name, is_mine in zip(some, mine, strict=True) if is_mine}

    def _upload_ground(self, key: str) -> None:
        try:
            self.upload(key)
        except UnknownName as error:  # as `api.sites` says it of an upload that never was
            raise UnknownName(f"no upload_ground {key!r}", upload_ground=key) from error

    def sites(self, sites: Sequence[Site]) -> None:
        """Refused where ground lies in others' zones, or wholly outside the user's own."""
        if self.is_all:
            return
        ground = np.array([one.geometry for one in sites], dtype=object)
        foreign: Bools = shapely.area(shapely.intersection(ground, self._others)) > TOUCH_M2
        if foreign.any() or not self.sees(ground).all():
            raise Refused("the site has to lie in a zone of yours, and in no other zone", zones=", ".join(self.names))

    def may_write(self, zone: str | None) -> None:
        """Refused where a project would be put where the user may not."""
        if not self.holds(zone):
            raise Refused("a project has to name a zone of yours", zones=", ".join(sorted(self.names)))

    def faults(self, project: Project, there: Mapping[str, Mapping[str, Any]]) -> list[Fault]:
        """Why a row of a library file is not the user's to write."""
        if self.is_all:
            return []
        said = f"One of {', '.join(sorted(self.names)) or 'none'}"
        faults = []
        if not self.holds(project.zone):
            faults.append(Fault("its zone is not one of yours", said, feature=project.key, field="zone"))
        if project.key in there and not self.holds(there[project.key].get("zone")):
            faults.append(Fault("the id is taken", "Choose another id", feature=project.key, field="id"))
        return faults
