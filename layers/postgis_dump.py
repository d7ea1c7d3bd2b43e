"""A county of a database as pg_dump and pg_restore know it. They are the server's own programs, or newer ones."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from psycopg import IsolationLevel, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from layers import places, postgis
from layers.backup_manifest import Taken
from layers.errors import BadInput, Fault, StoreBroken
from layers.ledger.rows import LAST
from layers.places import Url
from layers.postgres import connect, told


def dump(county: str | Path, to: Path) -> tuple[str, Taken]:
    """A county's schema as it is at one moment, in pg_dump's custom format; its name, and how far its books went."""
    place = places.url(county)
    postgis.examine(place)
    with contextlib.closing(connect(place)) as db, told(place.label, "read"):
        db.isolation_level, db.read_only = IsolationLevel.REPEATABLE_READ, True
        with db.transaction():
            ((moment,),) = db.execute("SELECT pg_export_snapshot()").fetchall()
            facts: dict[str, str] = dict(db.execute("SELECT key, value FROM parkplan_county").fetchall())
            last = db.execute(LAST).fetchone()
            name = '"' + place.schema.replace('"', '""') + '"'
            _run(
                place, "pg_dump", "-Fc", "--no-owner", "--no-acl", f"--schema={name}", f"--snapshot={moment}", "-f", to
            )
    return place.schema, Taken(facts["name"], last[0] if last else 0, last[2] if last else "")


@contextlib.contextmanager
def restored(county: str | Path, body: Path, schema: str) -> Iterator[None]:
    """A county made of a dump, under its own name or another; gone again where something fails within."""
    place = places.url(county)
    with contextlib.closing(connect(place)) as db, told(place.label, "written"):
        postgis.extend(db, place)
        for name in dict.fromkeys((place.schema, schema)):
            if db.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)).fetchone():
                fix = "Restore into another database, or another schema"
                if name != place.schema:
                    fix = "It comes in under its own name first: restore into another database"
                said = f"the database {place.database} has a schema {name}"
                raise BadInput(f"{place.label} exists already", [Fault(said, fix)])
    here = schema
    try:
        _run(place, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-acl", body)
        if schema != place.schema:
            with contextlib.closing(connect(place)) as db, told(place.label, "written"):
                names = sql.Identifier(schema), sql.Identifier(place.schema)
                db.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(*names))
            here = place.schema
        postgis.migrate(county)
        yield
    except BaseException:
        with contextlib.closing(connect(place)) as db:
            db.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(here)))
        raise


def _run(place: Url, program: str, *arguments: str | Path) -> None:
    """One of PostgreSQL's programs on a database; the password is not in its command line."""
    said = conninfo_to_dict(place.conninfo)
    secret = {"PGPASSWORD": str(said.pop("password"))} if said.get("password") else {}
    command: Sequence[str | Path] = (_program(program), "-d", make_conninfo("", **said), *arguments)
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **secret})
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        for word in ("host", "hostaddr", "user", "password", "port"):  # messages of ours repeat none of it
            if value := str(conninfo_to_dict(place.conninfo).get(word) or ""):
                reason = reason.replace(value, "...")
        raise StoreBroken(f"{program} of {place.label} failed ({reason[:300]})", county=place.label) from None


def _program(name: str) -> Path:
    """The newest of a program of PostgreSQL: it must not be older than the server."""
    made = [path for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}") if path.parts[-3].isdigit()]
    newest = max(made, key=lambda path: int(path.parts[-3]), default=None)
    found = newest or (Path(there) if (there := shutil.which(name)) else None)
    if found is None:
        fix = "Install PostgreSQL's client programs (Debian: postgresql-client)"
        raise BadInput(f"{name} is not installed", [Fault("it makes and reads the backup of a database", fix)])
    return found
