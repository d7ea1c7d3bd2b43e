"""Arguments that name a thing of the county or a file of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from layers.errors import BadInput, Fault

if TYPE_CHECKING:  # a command that only prints its help does not wait for the store
    from layers.records import Project
    from layers.store import Store


def read_project(said: str, store: Store) -> Project:
    """A project from a JSON file, or from the county's library by its id."""
    from layers.records import Project

    path = Path(said)
    if not path.suffix and not path.exists():
        return Project.model_validate(store.load("project", said))
    try:
        return Project.model_validate_json(path.read_bytes())
    except OSError as error:
        fix = "Check the path, or give the id of a project of the library"
        raise BadInput(f"{path.name} cannot be read", [Fault(str(error.strerror), fix)]) from error
