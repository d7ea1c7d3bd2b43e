"""What one process holds of the county it serves, for the routers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import date
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar

import shapely
from fastapi import Request

from api import history, opinions, recheck
from api.answers import answer, asked_columns, geojson, remedies
from api.jobs import Plans
from api.networks import Networks
from api.outlook import Outlooks
from api.pictures import Pictures
from api.scope import Scope, Zones
from api.settings import Settings
from api.tiles import Tiles
from gis.check import Checked, check, rulebook
from gis.indicators import with_indicators
from gis.mending import Allowed
from gis.roads import RoadClasses, roads_of
from gis.rules import Rulebook
from layers.access import Access, User
from layers.errors import BadInput, Busy, Fault, UnknownName, Unreachable
from layers.inbox import Inbox
from layers.places import beside
from layers.records import Project, Purpose, Site
from layers.schema import roles
from layers.store import Store
from layers.stored_world import StoredWorld

MOST_DRAWN = 1_000
T = TypeVar("T")


class County:
    """An open county: its store, who may use it, and the rulebook with the county's own confirmations."""

    def __init__(self, store: Store, access: Access, settings: Settings) -> None:
        self.store = store
        self.access = access
        self.settings = settings
        self._book = rulebook()
        self._confirmed: tuple[str, Rulebook] | None = None
        self._pinned: set[str] = set()  # digests of rulebooks and sets of layers that are kept beside the answers
        self.inbox = Inbox(beside(settings.county))
        self.networks = Networks(store, self.rulebook)
        self.plans = Plans(store, self.rulebook, self.networks)
        self.outlooks = Outlooks(store, self.rulebook)
        self.zones = Zones(store)
        self.tiles = Tiles(store)
        self.pictures = Pictures(store, self.rulebook)
        self.opinions = opinions.Opinions(store)
        self.history = history.History(store)
        # One short check after the other: side by side they only take the interpreter from each other.
        self.turn = Lock()
        # Who asks something of the books is measured in the order they came, and waits for the COMMIT without a
        # thread: threads that all want the interpreter serve nobody sooner, and some of them much later.
        self._desk = ThreadPoolExecutor(1, "desk")
        self._drawn: dict[str, dict[str, Any] | None] = {}
        self._readers = BoundedSemaphore(settings.max_readers)

    def drawn(self, digest: str, ground: shapely.Geometry) -> dict[str, Any] | None:
        """Ground of the books as lon/lat GeoJSON. Its digest names it for ever, and it is asked for at every event."""
        if (known := self._drawn.get(digest)) is None:
            (known,) = geojson([ground], self.store.crs)
            if len(self._drawn) >= MOST_DRAWN:
                self._drawn.clear()
            self._drawn[digest] = known
        return known

    async def at_the_desk(self, work: Callable[[], T]) -> T:
        """What somebody wants to know before it is written to the books, in the order they came."""
        return await asyncio.get_running_loop().run_in_executor(self._desk, copy_context().run, work)

    @property
    def site_limits(self) -> tuple[int, float]:
        """The most vertices of a site and the most square kilometres of a request."""
        return self.settings.max_site_vertices, self.settings.max_km2

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around reading a file from outside: each takes a process of its own, so only so many at once."""
        if not self._readers.acquire(timeout=self.settings.reader_wait_s):
            raise Busy("other files are being read; try again shortly")
        try:
            yield
        finally:
            self._readers.release()

    def rulebook(self) -> Rulebook:
        """The book as this county has confirmed it, with its own indicators; read anew when one of them was added."""
        stamp = self.store.stamp("confirmation", "indicators")
        if self._confirmed is None or self._confirmed[0] != stamp:
            book = with_indicators(self._book, self.store.list("indicators"))
            self._confirmed = (stamp, book.confirmed(self.store.list("confirmation")))
        return self._confirmed[1]

    def scope(self, user: User) -> Scope:
        """The county as this user sees it: what is not theirs is not there."""
        return Scope(self.store, self.zones, user)

    def plan(self, key: str, user: User) -> dict[str, Any]:
        """A plan of those who see the whole county is theirs; one made for some zones is also theirs who hold these."""
        job = self.plans.read(key)
        scope = self.scope(user)
        if not scope.is_all and (job["zones"] is None or not set(job["zones"]) <= scope.names):
            raise UnknownName(f"no plan {key!r}", plan=key)
        return job

    def warm(self) -> None:
        """Map every layer into this process, so that the first check is as fast as the next."""
        with suppress(Unreachable):  # who asks will hear
            world = self.store.at()
            for layer in self.store.layers():
                if roles()[layer.role].is_raster:
                    world.raster(layer.role)
                else:
                    world.near(layer.role, layer.extent.bounds)
            roads = world.near("roads", (0.0, 0.0, 0.0, 0.0))
            if roads is not None:
                roads_of(roads, RoadClasses.of(self.rulebook()))

    def check(
        self,
        sites: Sequence[Site],
        project: Project,
        purpose: Purpose,
        as_of: date | None = None,
        for_year: int | None = None,
        ways_out: Allowed | bool = False,
    ) -> list[dict[str, Any]]:
        """The answers for some sites and one project, in order; with ways out of what fails where they are asked for
        (True, or which ground may be offered)."""
        world = self.store.at(as_of, for_year)
        geometries = [site.geometry for site in sites]
        book = self.rulebook()
        routes = self.networks.lookup(world)
        checked = check(geometries, project, book, world, purpose=purpose, extra=asked_columns(book), routes=routes)
        return [_with_ways_out(answer(checked, i, 0, site), checked, i, ways_out) for i, site in enumerate(sites)]

    def check_and_keep(
        self,
        site: Site,
        project: Project,
        purpose: Purpose,
        as_of: date | None = None,
        for_year: int | None = None,
        *,
        by: str,
        ways_out: Allowed | bool = False,
    ) -> tuple[dict[str, Any], str]:
        """The answer for one site and its JSON text, kept together with all it was given, so that it can be asked
        again (`api.recheck`)."""
        world = self.store.at(as_of, for_year)
        book = self.rulebook()
        routes = self.networks.lookup(world)
        checked = check(
            [site.geometry], project, book, world, purpose=purpose, extra=asked_columns(book), routes=routes
        )
        found = _with_ways_out(answer(checked, 0, 0, site), checked, 0, ways_out)
        kept = [("check", found["id"], found), ("check_seen", found["id"], recheck.seen(site, world.pools(), book, by))]
        kept.append((history.KIND, found["id"], history.row(found, by)))
        text = self.store.save_all([*kept, *self._book_to_keep(book)])[0]
        self._pinned.add(book.digest)
        self.access.record(by, "check", found["id"], found["verdict"])
        return found, text

    def pin(self, book: Rulebook, world: StoredWorld) -> dict[str, Any]:
        """What a claim is worked out from, by digests; rulebook and layers are kept under theirs."""
        return recheck.pin(self.store, book, world, self._pinned)

    def _book_to_keep(self, book: Rulebook) -> list[tuple[str, str, Any]]:
        """The rulebook as a document, unless this process has kept it before."""
        return [] if book.digest in self._pinned else [("rulebook", book.digest, recheck.book_document(book))]

    def project(self, given: Project | None, project_id: str | None, scope: Scope | None = None) -> Project:
        """The project that was sent, or the one of that id in the library, as far as it is the user's."""
        if (given is None) == (project_id is None):
            fix = "Send one of them"
            raise BadInput("which project?", [Fault("give exactly one of project and project_id", fix)])
        if given is not None:
            return given
        key = str(project_id)
        return Project.model_validate(self.store.load("project", key) if scope is None else scope.project(key))


def _with_ways_out(found: dict[str, Any], checked: Checked, i: int, ways_out: Allowed | bool) -> dict[str, Any]:
    if not ways_out:
        return found
    return found | {"remedies": remedies(checked, i, 0, None if ways_out is True else ways_out)}


async def county_of(request: Request) -> County:
    found: County = request.app.state.county
    return found
