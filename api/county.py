"""What one process holds of the county it serves, for the routers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from threading import Lock
from typing import Any

from fastapi import Request

from api.answers import QUOTA_FACTS, answer
from api.settings import Settings
from gis.check import check, rulebook
from gis.rules import Rulebook
from layers.access import Access
from layers.errors import BadInput, Fault
from layers.records import Project, Purpose, Site
from layers.schema import roles
from layers.store import Store


class County:
    """An open county: its store, who may use it, and the rulebook with the county's own confirmations."""

    def __init__(self, store: Store, access: Access, settings: Settings) -> None:
        self.store = store
        self.access = access
        self.settings = settings
        self._book = rulebook()
        self._confirmed: tuple[str, Rulebook] | None = None
        # One short check after the other: side by side they only take the interpreter from each other.
        self.turn = Lock()

    def rulebook(self) -> Rulebook:
        """The book as this county has confirmed it; read anew when a confirmation was added."""
        stamp = self.store.stamp("confirmation")
        if self._confirmed is None or self._confirmed[0] != stamp:
            self._confirmed = (stamp, self._book.confirmed(self.store.list("confirmation")))
        return self._confirmed[1]

    def warm(self) -> None:
        """Map every layer into this process, so that the first check is as fast as the next."""
        world = self.store.at()
        for layer in self.store.layers():
            if roles()[layer.role].is_raster:
                world.raster(layer.role)
            else:
                world.near(layer.role, layer.extent.bounds)

    def check(
        self,
        sites: Sequence[Site],
        project: Project,
        purpose: Purpose,
        as_of: date | None = None,
        for_year: int | None = None,
    ) -> list[dict[str, Any]]:
        """The answers for some sites and one project, in order."""
        world = self.store.at(as_of, for_year)
        geometries = [site.geometry for site in sites]
        checked = check(geometries, project, self.rulebook(), world, purpose=purpose, extra=QUOTA_FACTS)
        return [answer(checked, i, 0, site) for i, site in enumerate(sites)]

    def project(self, given: Project | None, project_id: str | None) -> Project:
        """The project that was sent, or the one of that id in the library."""
        if (given is None) == (project_id is None):
            fix = "Send one of them"
            raise BadInput("which project?", [Fault("give exactly one of project and project_id", fix)])
        return given if given is not None else Project.model_validate(self.store.load("project", str(project_id)))


async def county_of(request: Request) -> County:
    found: County = request.app.state.county
    return found
