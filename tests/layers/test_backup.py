"""A county in one file while others write, and a county made of it that proves itself."""

import contextlib
import hashlib
import io
import json
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import apsw
import pytest

from layers import backup
from layers.access import Access
from layers.errors import BadInput, StoreBroken, UnknownName
from layers.inbox import Inbox
from layers.ledger import acts
from layers.ledger.keeping import Key
from layers.ledger.verify import verify
from layers.places import beside
from layers.store import open_store
from tests.layers.contents import furnish, told
from tests.layers.ledger.books import ask, claim, held, opened, plot, reserve, turn
from tests.stores import InFiles

NUMBERS = count()


@pytest.fixture
def store(stores):
    """A furnished county with books, users and a log."""
    store = stores.new()
    furnish(store)
    store.save("project", "a", {"名": 1})
    opened(store.ledger)
    turn(store.ledger, reserve(store.ledger, plot(0), claim(100, kva=5)), "apply", "planner")
    access = Access(beside(stores.name(store)))
    access.add("甲", "viewer")
    access.record("甲", "look", "x", "200")
    access.close()
    yield store
    store.close()


@pytest.fixture
def elsewhere(stores, tmp_path, request):
    """The name of a county that is not there, where a backup may be restored."""
    if stores.kind == "gpkg":
        return str(tmp_path / "again" / "again.gpkg")
    import psycopg

    name = f"elsewhere{next(NUMBERS)}"
    with contextlib.closing(psycopg.connect(stores.url, autocommit=True)) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name}")
        admin.execute(f"CREATE DATABASE {name}")
    return f"{stores.url.removesuffix('postgres')}{name}?schema=again"


def test_a_county_comes_back_with_its_layers_books_users_and_log(stores, store, elsewhere, tmp_path):
    before = told(store), [one.hash for one in store.ledger.journal()], held(store.ledger)
    file = tmp_path / "county.backup"
    said = backup.backup(stores.name(store), file)
    assert (said.entries, said.head) == (len(before[1]), before[1][-1])
    assert file.stat().st_mode & 0o077 == 0
    again, proof = backup.restore(file, elsewhere)
    assert (again, proof.whole, proof.head) == (said, True, said.head)
    with contextlib.closing(open_store(elsewhere)) as other:
        assert (told(other), [one.hash for one in other.ledger.journal()], held(other.ledger)) == before
        assert other.load("project", "a") == {"名": 1}
        assert reserve(other.ledger, plot(1)).state == "reserved"  # and it works on
    access = Access(beside(elsewhere))
    assert [one["action"] for one in access.audit()][-1] == "look"
    assert access.has_users()
    access.close()
    assert not list(tmp_path.rglob(".making-*"))


def test_a_backup_under_load_is_of_one_moment_and_has_all_that_was_answered_before(stores, store, elsewhere, tmp_path):
    stop, answered = threading.Event(), []

    def and_back(page, n):
        made = acts.reserve(page, ask(plot(n), claim(1)))
        acts.turn(page, acts.Turn(made.id, "apply", "planner"))
        acts.turn(page, acts.Turn(made.id, "withdraw", "planner"))
        return made.id

    def write(who):
        for n in range(1 + who * 10_000, (1 + who) * 10_000):
            if stop.is_set():
                return
            answered.append(store.ledger.once(Key("p", f"{n}", "r"), lambda page, n=n: and_back(page, n)))

    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, who) for who in range(4)]
        while len(answered) < 20 and not any(one.done() for one in writing):
            time.sleep(0.01)
        sure = list(answered)
        said = backup.backup(stores.name(store), tmp_path / "busy.backup")
        after = len(answered)
        stop.set()
        for one in writing:
            one.result()
    assert after > len(sure)  # nobody waited for it
    _, proof = backup.restore(tmp_path / "busy.backup", elsewhere)
    assert proof.entries == said.entries
    with contextlib.closing(open_store(elsewhere)) as other:
        assert set(sure) <= {one.id for one in other.ledger.reservations()}
        # requests of several entries are in it whole or not at all
        assert {one.state for one in other.ledger.reservations()} <= {"withdrawn", "applied"}
        journal = list(store.ledger.journal())[: said.entries]
        assert list(other.ledger.journal()) == journal
    assert verify(store.ledger).whole


def test_files_that_wait_for_a_second_person_come_back_with_it(stores, store, elsewhere, tmp_path):
    inbox = Inbox(beside(stores.name(store)))
    kept = inbox.keep("0a1b2c3d4e", "木黄 地块.txt", io.BytesIO("界址点".encode()))
    with inbox.turn("0a1b2c3d4e"):  # somebody is looking at it
        said = backup.backup(stores.name(store), tmp_path / "county.backup")
    assert said.files["inbox/0a1b2c3d4e/木黄 地块.txt"] == kept.sha256
    assert not any(".turn" in name for name in said.files)
    backup.restore(tmp_path / "county.backup", elsewhere)
    again = Inbox(beside(elsewhere))
    assert [path.as_posix() for path in again.files()] == ["0a1b2c3d4e/木黄 地块.txt"]
    assert again.find("0a1b2c3d4e", "木黄 地块.txt").read_bytes().decode() == "界址点"
    assert (again.folder / "0a1b2c3d4e").stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(tmp_path / "county.backup") as whole, zipfile.ZipFile(tmp_path / "evil", "w") as evil:
        manifest = json.loads(whole.read("manifest.json"))
        manifest["files"]["inbox/../../x"] = kept.sha256
        for name in whole.namelist():
            evil.writestr(name, whole.read(name) if name != "manifest.json" else json.dumps(manifest))
        evil.writestr("inbox/../../x", "界址点")
    with pytest.raises(BadInput):
        backup.read_manifest(tmp_path / "evil")


def test_nothing_is_overwritten(stores, store, elsewhere, tmp_path):
    file = tmp_path / "one.backup"
    backup.backup(stores.name(store), file)
    was = file.read_bytes()
    with pytest.raises(BadInput, match="exists already"):
        backup.backup(stores.name(store), file)
    with pytest.raises(BadInput, match="exists already"):
        backup.restore(file, stores.name(store))
    assert file.read_bytes() == was
    log = beside(elsewhere).with_suffix(".access")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("theirs")
    with pytest.raises(BadInput, match="exists already"):
        backup.restore(file, elsewhere)
    assert log.read_text() == "theirs"
    with pytest.raises((UnknownName, StoreBroken)):
        open_store(elsewhere)
    assert held(store.ledger) == (900, 0, 100, 0)


def repacked(file, to, change):
    """The same backup with one of its files changed, and the manifest made to agree."""
    with zipfile.ZipFile(file) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    change(parts, to.parent)
    said = json.loads(parts["manifest.json"])
    said["files"] = {name: hashlib.sha256(parts[name]).hexdigest() for name in said["files"]}
    with zipfile.ZipFile(to, "w") as whole:
        whole.writestr("manifest.json", json.dumps(said))
        for name in said["files"]:
            whole.writestr(name, parts[name])
    return to


def altered(sql):
    def change(parts, folder):
        path = folder / "altered.gpkg"
        path.write_bytes(parts["county.gpkg"])
        with contextlib.closing(apsw.Connection(str(path))) as db:
            for (name,) in list(db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")):
                db.execute(f'DROP TRIGGER "{name}"')
            db.execute(sql)
        parts["county.gpkg"] = path.read_bytes()

    return change


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE parkplan_ledger_entries SET actor = 'me' WHERE seq = 2", "books of the backup do not hold"),
        ("UPDATE parkplan_ledger_balances SET granted = granted + 1, available = available + 1", "do not hold"),
        ("DELETE FROM parkplan_ledger_entries WHERE seq = (SELECT max(seq) FROM parkplan_ledger_entries)", "not hold"),
    ],
)
def test_a_backup_whose_books_do_not_hold_makes_no_county(tmp_path, sql, says):
    stores = InFiles(tmp_path)
    store = stores.new()
    opened(store.ledger)
    reserve(store.ledger, plot(0))
    store.close()
    backup.backup(store.path, tmp_path / "a.backup")
    bad = repacked(tmp_path / "a.backup", tmp_path / "b.backup", altered(sql))
    with pytest.raises(StoreBroken, match=says):
        backup.restore(bad, tmp_path / "new" / "new.gpkg")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_damaged_file_or_another_makes_no_county(stores, store, elsewhere, tmp_path):
    file = tmp_path / "whole.backup"
    backup.backup(stores.name(store), file)
    whole = file.read_bytes()
    for n, content in enumerate((whole[: len(whole) // 2], b"", b"PK\x03\x04 no zip")):
        broken = tmp_path / f"{n}.backup"
        broken.write_bytes(content)
        with pytest.raises(BadInput, match="is no backup of a county"):
            backup.restore(broken, elsewhere)
    body = backup.BODIES[backup.read_manifest(file).kind]
    with zipfile.ZipFile(file) as packed:
        place = packed.getinfo(body).header_offset + 200
    (tmp_path / "flipped.backup").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(BadInput, match="is damaged"):
        backup.restore(tmp_path / "flipped.backup", elsewhere)
    with pytest.raises(UnknownName):
        backup.restore(tmp_path / "none.backup", elsewhere)
    with pytest.raises((UnknownName, StoreBroken)):
        open_store(elsewhere)
    with pytest.raises(UnknownName):
        backup.backup(elsewhere, tmp_path / "x.backup")


def test_what_was_due_meanwhile_expires_in_the_restored_county_which_still_proves_itself(stores, elsewhere, tmp_path):
    with contextlib.closing(stores.new()) as long_ago:
        now = long_ago.ledger.clock()
        long_ago.ledger.clock = lambda: now - timedelta(days=400)
        opened(long_ago.ledger)
        reserve(long_ago.ledger, plot(0))
        said = backup.backup(stores.name(long_ago), tmp_path / "old.backup")
    _, proof = backup.restore(tmp_path / "old.backup", elsewhere)
    assert proof.whole
    assert proof.entries == said.entries + 1
