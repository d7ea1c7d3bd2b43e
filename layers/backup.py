"""A county in one file, taken while others work on it, and a county made of such a file that proves itself.

The file is a zip: `manifest.json`, the county as it was at one moment (`county.gpkg`, or `county.dump` in the custom
format of pg_dump, which pg_restore reads as it is), `county.access`, its users and audit log, and under `inbox/` the
files that wait for a second person. The county is taken before the log, so that the log knows of all that was done in
it, and between two looks at what waits, so that no file is missing that it speaks of. Snapshots are made again from the
layers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import zipfile
import zlib
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import apsw

from layers import snapshot
from layers.access import Access
from layers.backup_manifest import Manifest, Taken
from layers.errors import BadInput, Fault, StoreBroken, UnknownName
from layers.inbox import Inbox, is_kept
from layers.ledger.rows import LAST
from layers.ledger.verify import Verified, verify
from layers.places import beside, called, is_url
from layers.sqlite_tables import told
from layers.store import open_store

FORMAT = "parkplan-backup-1"
MANIFEST, ACCESS, INBOX = "manifest.json", "county.access", "inbox"
BODIES = {"gpkg": "county.gpkg", "postgresql": "county.dump"}
BLOCK = 1 << 20


# --- taking ---------------------------------------------------------------------------------------------


def backup(county: str | Path, file: Path) -> Manifest:
    """Put a county into a file, while it is served. BadInput where the file exists; it is there whole or not at all."""
    _absent(file)
    kind = "postgresql" if is_url(county) else "gpkg"
    file.parent.mkdir(parents=True, exist_ok=True)
    with told(file, "written"), snapshot.staging(file.parent) as place:
        body = place / BODIES[kind]
        _waiting(beside(county), place)
        if kind == "gpkg":
            schema, taken = "", copy(Path(county), body)
        else:
            from layers import postgis_dump

            schema, taken = postgis_dump.dump(county, body)
        _waiting(beside(county), place)
        log = beside(county).with_suffix(".access")
        if log.exists():
            _copy(log, place / ACCESS)
            _as_far(place / ACCESS, taken)
        found = [path for path in (body, place / ACCESS) if path.exists()]
        found += sorted(path for path in (place / INBOX).rglob("*") if path.is_file())
        files = {path.relative_to(place).as_posix(): digest(path) for path in found}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        said = Manifest(FORMAT, kind, taken.county, schema, now, taken.entries, taken.head, files)
        made = place / "made.zip"
        made.touch(mode=0o600)  # keys and layers are for those who may
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as whole:
            whole.writestr(MANIFEST, json.dumps(asdict(said), ensure_ascii=False, indent=2))
            for path in found:
                packed = zipfile.ZIP_STORED if path.suffix == ".dump" else zipfile.ZIP_DEFLATED  # it is packed already
                whole.write(path, path.relative_to(place), packed)
        with made.open("rb") as written:
            os.fsync(written.fileno())
        _absent(file)
        made.rename(file)
    return said


def _waiting(county: Path, place: Path) -> None:
    """What waits beside a county, as far as it was not copied yet; a file that is decided on meanwhile is gone."""
    inbox = Inbox(county)
    for name in inbox.files():
        to = place / INBOX / name
        if not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(inbox.folder / name, to)


def copy(county: Path, to: Path) -> Taken:
    """A county file as it is at one moment, by SQLite's online backup: nobody who writes waits for it."""
    if not county.is_file():
        raise UnknownName(f"there is no county at {county.name}", county=county.name)
    with told(county, "read"):
        _copy(county, to)
        with contextlib.closing(apsw.Connection(str(to))) as db:
            try:
                facts = dict(db.execute("SELECT key, value FROM parkplan_county"))
                last = db.execute(LAST).fetchone()
            except apsw.SQLError as error:
                raise StoreBroken(f"{county.name} is no county ({error})", county=county.name) from error
    return Taken(str(facts.get("name", "")), int(last[0]) if last else 0, str(last[2]) if last else "")


def _as_far(log: Path, taken: Taken) -> None:
    """A copied log that has seen the books as far as the copied books go, which were taken before it."""
    with contextlib.closing(apsw.Connection(str(log))) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'witness'").fetchone():
            db.execute("DELETE FROM witness WHERE journal = 'ledger' AND seq > ?", (taken.entries,))


def _copy(source: Path, to: Path) -> None:
    with (
        contextlib.closing(apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READWRITE)) as theirs,
        contextlib.closing(apsw.Connection(str(to))) as ours,
    ):
        theirs.set_busy_timeout(10_000)
        with ours.backup("main", theirs, "main") as pages:
            pages.step()  # all of it in one read transaction: what is written meanwhile is not in it
        ours.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
    to.chmod(0o600)


# --- restoring ------------------------------------------------------------------------------------------


def restore(file: Path, county: str | Path) -> tuple[Manifest, Verified]:
    """Make a county of a backup. It is there only if it proves itself; BadInput where anything is there already."""
    log, inbox = beside(county).with_suffix(".access"), Inbox(beside(county)).folder
    if is_url(county) != (read_manifest(file).kind == "postgresql"):
        fix = "A .gpkg restores into a .gpkg, a county of a database into a database"
        raise BadInput("this backup is of the other kind", [Fault(f"{called(county)} cannot be made of it", fix)])
    for path in (log, inbox) if is_url(county) else (Path(county), log, inbox):
        _absent(path)
    parent = log.parent
    parent.mkdir(parents=True, exist_ok=True)
    with told(file, "read"), snapshot.staging(parent) as place:
        said = _unpack(file, place)
        if (place / ACCESS).exists():
            _prove_log(place)
        body = place / BODIES[said.kind]
        if is_url(county):
            from layers import postgis_dump

            with postgis_dump.restored(county, body, said.schema):
                proof = _prove(county, said)
        else:
            proof = _prove_file(body, said)
        with contextlib.ExitStack() as undo:
            if (place / ACCESS).exists():
                _absent(log)
                (place / ACCESS).rename(log)
                undo.callback(log.unlink)
            if (place / INBOX).exists():
                _absent(inbox)
                (place / INBOX).rename(inbox)
                undo.callback(shutil.rmtree, inbox, ignore_errors=True)
            if not is_url(county):
                _absent(Path(county))
                body.rename(county)
            undo.pop_all()
    return said, proof


def read_manifest(file: Path) -> Manifest:
    """What a backup says of itself; BadInput where it is none."""
    try:
        with zipfile.ZipFile(file) as whole:
            said = json.loads(whole.read(MANIFEST))
            manifest = Manifest(**said)
            names = set(whole.namelist()) - {MANIFEST}
        known = manifest.kind in BODIES and names == set(manifest.files) and BODIES[manifest.kind] in names
        others = names - {BODIES[manifest.kind], ACCESS}
        waits = all(name.startswith(f"{INBOX}/") and is_kept(name.removeprefix(f"{INBOX}/")) for name in others)
        if manifest.format != FORMAT or not known or not waits:
            raise ValueError("it is of another form")
    except FileNotFoundError as error:
        raise UnknownName(f"there is no backup at {file.name}", file=file.name) from error
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, AttributeError) as error:
        fix = "Give a file that `parkplan backup` of this version made, whole"
        raise BadInput(f"{file.name} is no backup of a county", [Fault(str(error), fix)]) from error
    return manifest


def _unpack(file: Path, place: Path) -> Manifest:
    """The files of a backup, each proven to be what was put in."""
    said = read_manifest(file)
    faults = []
    with zipfile.ZipFile(file) as whole:
        for name, wanted in said.files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with whole.open(name) as packed, (place / name).open("xb") as plain:
                    shutil.copyfileobj(packed, plain, BLOCK)
            except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
                faults.append(Fault(f"{name} cannot be read ({error})", "Take another copy of the backup"))
                continue
            (place / name).chmod(0o600)
            if digest(place / name) != wanted:
                faults.append(Fault(f"{name} is not what was put in", "Take another copy of the backup"))
    if faults:
        raise BadInput(f"{file.name} is damaged", faults)
    return said


def _prove_file(body: Path, said: Manifest) -> Verified:
    """A county file, page by page and then its books."""
    with contextlib.closing(apsw.Connection(str(body))) as db:
        found = [str(row[0]) for row in db.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        raise StoreBroken(f"the county in the backup is damaged ({'; '.join(found)[:300]})")
    proof = _prove(body, said)
    with contextlib.closing(apsw.Connection(str(body))) as db:
        db.execute("PRAGMA journal_mode=DELETE")
    shutil.rmtree(body.with_suffix(".cache"), ignore_errors=True)
    return proof


def _prove(county: str | Path, said: Manifest) -> Verified:
    """StoreBroken where the books do not hold, or are not those that were put in."""
    store = open_store(county)
    try:
        proof = verify(store.ledger)
        last = next(iter(store.ledger.entries(after=said.entries - 1, limit=1)), None) if said.entries else None
    finally:
        store.close()
    if not proof.whole:
        raise StoreBroken(f"the books of the backup do not hold ({proof.what}): {proof.reason}")
    if (last.hash if last else "") != said.head:
        raise StoreBroken("the books of the backup are not those that were put in")
    return proof


def _prove_log(place: Path) -> None:
    access = Access(place / "county")
    try:
        found = access.verify()
    finally:
        access.close()
    if not found.holds:
        raise StoreBroken(f"the audit log of the backup does not hold: {found.fault}")


def _absent(path: Path) -> None:
    if path.exists():
        raise BadInput(f"{path.name} exists already", [Fault("it would be overwritten", "Choose another name")])


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
