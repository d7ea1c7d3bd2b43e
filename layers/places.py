"""Where a county is: a COUNTY as people write it, the path of a `.gpkg` file or a `postgresql://` URL.

A file's companions (users, waiting uploads, snapshots) lie beside it. A county in a database has no beside: its
snapshots lie in `PARKPLAN_CACHE` (default `~/.cache/parkplan`), from where they may be deleted at any time; its users,
its audit log and the uploads that wait for approval in `PARKPLAN_STATE` (default `~/.local/state/parkplan`), which
must be kept. Both folders hold one for each county, named by where its database is; the password has no part in it.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode

from layers.errors import BadInput, Fault

EXAMPLE = "postgresql://user@host/database?schema=county"
SCHEMA = "parkplan"  # where the URL names none
MOST_BYTES = 63  # of a name in PostgreSQL


@dataclass(frozen=True)
class Url:
    """A county in a database: a schema of its own, so that several can share one. `conninfo` may hold a password."""

    conninfo: str = field(repr=False)
    database: str
    schema: str

    @property
    def label(self) -> str:
        """What the county is called in messages: neither host nor user."""
        return f"{self.database}/{self.schema}"

    @property
    def key(self) -> str:
        """Names its folders on this machine."""
        from psycopg.conninfo import conninfo_to_dict

        said = conninfo_to_dict(self.conninfo)
        where = [
            str(said.get(name) or os.environ.get(f"PG{name.upper()}", "")) for name in ("host", "hostaddr", "port")
        ]
        told = "\n".join([*where, self.database, self.schema])
        plain = re.sub(r"[^\w-]+", "_", f"{self.database}-{self.schema}")[:60]
        return f"{plain}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def is_url(county: str | Path) -> bool:
    return str(county).startswith(("postgresql:/", "postgres:/"))  # a Path keeps one of the slashes


def url(county: str | Path) -> Url:
    """A county's URL read. BadInput where it cannot be one; the message repeats nothing of it."""
    driver()
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    scheme, _, rest = str(county).partition(":")
    slashed = rest if rest.startswith("//") else f"/{rest}"
    base, _, query = f"{scheme}:{slashed}".partition("?")
    asked = parse_qsl(query, keep_blank_values=True)
    schemas = [value for name, value in asked if name == "schema"] or [SCHEMA]
    others = [(name, value) for name, value in asked if name != "schema"]
    conninfo = f"{base}?{urlencode(others, quote_via=quote)}" if others else base
    try:
        database = conninfo_to_dict(conninfo).get("dbname")
    except ProgrammingError:
        fault = Fault("it cannot be read as one", f"Write it as {EXAMPLE}; percent-encode signs in the password")
        raise BadInput("this is no PostgreSQL URL", [fault]) from None  # what libpq says of it may hold the password
    faults = []
    if not database:
        faults.append(Fault("it names no database", f"Write it as {EXAMPLE}"))
    if len(schemas) > 1 or not _may_be_schema(schemas[0]):
        fix = f"Give one of at most {MOST_BYTES} bytes; names that begin with pg_ are PostgreSQL's own"
        faults.append(Fault("its schema cannot be", fix))
    if faults:
        raise BadInput("this is no county in a database", faults)
    return Url(conninfo, str(database), schemas[0])


def _may_be_schema(name: str) -> bool:
    own = name.startswith("pg_") or name == "information_schema"
    return bool(name) and name.isprintable() and name == name.strip() and len(name.encode()) <= MOST_BYTES and not own


def driver() -> None:
    """BadInput naming the extra where what PostgreSQL needs is not installed."""
    try:
        import alembic
        import psycopg
        import psycopg_pool
        import sqlalchemy
    except ImportError as error:
        fix = "Install the extra: pip install 'parkplan[postgis]', or in a checkout: uv sync --extra postgis"
        raise BadInput(
            "counties in PostgreSQL need the extra `postgis`", [Fault(f"{error.name} is missing", fix)]
        ) from error
    del alembic, psycopg, psycopg_pool, sqlalchemy


def called(county: str | Path) -> str:
    """A county's name in messages: the file's, or database and schema."""
    return url(county).label if is_url(county) else Path(county).name


def settled(county: str | Path) -> str:
    """The same county from any working directory."""
    return str(county) if is_url(county) else str(Path(county).resolve())


def beside(county: str | Path) -> Path:
    """The path whose suffixes name a county's companions, `.access` and `.inbox`."""
    if not is_url(county):
        return Path(county)
    folder = _home("PARKPLAN_STATE", "XDG_STATE_HOME", ".local/state") / url(county).key
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / "county"


def snapshots(place: Url) -> Path:
    """The folder for the snapshots of a county in a database."""
    folder = _home("PARKPLAN_CACHE", "XDG_CACHE_HOME", ".cache") / place.key
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # layers may be for official use only
    return folder


def _home(ours: str, theirs: str, usual: str) -> Path:
    if said := os.environ.get(ours):
        return Path(said)
    return Path(os.environ.get(theirs) or Path.home() / usual) / "parkplan"
