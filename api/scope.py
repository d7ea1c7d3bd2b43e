"""What one user sees of a county: those who hold some zones only see checks, projects, parcels and reservations of
these, and the rest answers as if it were not there (decision 0006)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import geopandas as gpd
import numpy as np
import shapely

from layers.access import User
from layers.errors import Fault, GroundTaken, Refused, UnknownName
from layers.ledger.records import Entry, Reservation, account
from layers.records import Bools, Geoms, Project, Site
from layers.store import Store

T = TypeVar("T")
K = TypeVar("K")
TOUCH_M2 = 1.0  # less shared ground than this is a drawn border, not ground of the zone


def seen(
    read: Callable[[K, int], Sequence[T]], after: K, limit: int, place: Callable[[T], K], sees: Callable[[T], bool]
) -> tuple[list[T], bool]:
    """The next `limit` of what somebody sees, and whether there is more; `read` gives what comes after a place."""
    found: list[T] = []
    while True:
        some = read(after, limit + 1)
        found += [one for one in some if sees(one)]
        if len(found) > limit or len(some) <= limit:
            return found[:limit], len(found) > limit
        after = place(some[-1])


class Zones:
    """The zones of a county as they are now, read again when the layer has a new version."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.label = ""
        self._frame: gpd.GeoDataFrame | None = None

    def frame(self) -> gpd.GeoDataFrame | None:
        label = next((one.label for one in self._store.layers() if one.role == "zones"), "")
        if label != self.label:
            self._frame = self._store.frame("zones") if label else None
            self.label = label
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
        self._label = ""
        self.names: frozenset[str] = frozenset()
        self._foreign: frozenset[str] = frozenset()  # ids and unit codes of zones that are not the user's
        self._grounds: dict[str, bool] = {}
        self._mine = self._others = shapely.Polygon()
        if user.zones is None:
            return
        frame = zones.frame()
        self._label = zones.label
        names = set(user.zones)
        if frame is not None:
            ids = frame["id"].astype(str).to_numpy()
            units = frame["unit_code"].astype(str).to_numpy() if "unit_code" in frame else ids
            own = np.isin(ids, list(user.zones)) | np.isin(units, list(user.zones))
            ground = np.asarray(frame.geometry.values, dtype=object)
            self._mine, self._others = shapely.union_all(ground[own]), shapely.union_all(ground[~own])
            names |= {*ids[own], *units[own]}
            self._foreign = frozenset({*ids[~own], *units[~own]} - names)
            if "name" in frame:
                names |= set(frame["name"].astype(str).to_numpy()[own])
        self.names = frozenset(names)

    @property
    def key(self) -> str:
        """Names what is seen: the same for everybody with these zones, another when the zones' layer is."""
        return "*" if self._held is None else f"{self._label}\n{sorted(self._held)!r}"

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

    def offers(self, ground: Geoms) -> Bools:
        """(N,) which ground may be offered to the user: all of it in zones of theirs."""
        if self.is_all:
            return np.ones(len(ground), dtype=bool)
        beside: Bools = shapely.area(shapely.intersection(ground, self._others)) <= TOUCH_M2
        return beside & self.sees(ground)

    # --- by id: what is not the user's is not there ---------------------------------------------------

    def check(self, key: str) -> dict[str, Any]:
        found = self._store.load("check", key)
        if not self.sees_check([one["zone"] for one in found["site"]["zones"]]):
            raise UnknownName(f"no check {key!r}", check=key)
        return found

    def sees_check(self, zones: Sequence[str]) -> bool:
        """Whether a check is the user's to see: one whose site lies in one of their zones."""
        return self.is_all or any(one in self.names for one in zones)

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

    # --- the books ------------------------------------------------------------------------------------

    def reservation(self, key: str) -> Reservation:
        found = self._store.ledger.reservation(key)
        if not self.holds_ground(found.ground):
            raise UnknownName(f"no reservation {key!r}", reservation=key)
        return found

    def holds_ground(self, digest: str) -> bool:
        """Whether ground of the books, by its digest, shares more than a border with the user's zones."""
        if self.is_all:
            return True
        if digest not in self._grounds:
            self._grounds[digest] = bool(self.sees(np.array([self._store.ledger.ground(digest)]))[0])
        return self._grounds[digest]

    def account(self, name: str) -> bool:
        """Whether an account is not another zone's. Those of the county, of towns and of facilities are everybody's."""
        said = account(name)
        return not (said.is_quota and said.holder in self._foreign)

    def entry(self, one: Entry) -> bool:
        """Whether an entry of the journal is the user's to see: of a reservation of theirs, or of accounts that are."""
        draft = one.draft
        ours = draft.ground is None or self.holds_ground(draft.ground)
        return ours and all(self.account(posting.account) for posting in draft.postings)

    def may_charge(self, unit: str | None) -> None:
        """Refused where another zone's quota would be drawn on."""
        if unit in self._foreign:
            raise Refused("the quota of another zone is not yours to charge", zones=", ".join(sorted(self.names)))

    def taken(self, error: GroundTaken) -> GroundTaken:
        """The refusal in words that name no reservation of another zone."""
        if self.is_all:
            return error
        try:
            self.reservation(str(error.facts["reservation"]))
        except UnknownName:
            return GroundTaken("some of it is held already", overlap_m2=error.facts["overlap_m2"])
        return error

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
