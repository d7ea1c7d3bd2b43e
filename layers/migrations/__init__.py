"""The tables of a county in PostgreSQL, step by step, forward and back (Alembic).

Each step is a file `versions/mNNNN_what.py` with the revision `NNNN`, numbered in the order they run in; the next one
names the last as its `down_revision`. Names are unqualified: the connection looks into the county's schema first.
Text that is compared or ordered has the collation "C", so that it sorts by bytes as it does in a county file.
A step back refuses where it would lose what cannot be had again.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from layers.places import Url
from layers.postgres import Connection, connect

__all__ = ["CommandError", "current", "downgrade", "engine", "newest", "upgrade"]


def engine(place: Url) -> sa.Engine:
    """SQLAlchemy as Alembic needs it, over connections of ours: all steps of a migration are made or none."""

    def begun() -> Connection:
        made = connect(place)
        made.autocommit = False
        return made

    return sa.create_engine("postgresql+psycopg://", creator=begun, poolclass=sa.NullPool)


def _config(**given: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("layers") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(given)
    return config


def newest() -> str:
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current(connection: sa.Connection, schema: str) -> str | None:
    """The revision a schema is at; None where it holds no county."""
    return MigrationContext.configure(connection, opts={"version_table_schema": schema}).get_current_revision()


def upgrade(connection: sa.Connection, schema: str, revision: str = "head") -> None:
    command.upgrade(_config(connection=connection, schema=schema), revision)


def downgrade(connection: sa.Connection, schema: str, revision: str) -> None:
    command.downgrade(_config(connection=connection, schema=schema), revision)
