"""Whoever takes away the newest entries of the books, or rows of the audit log, is found out by the other."""

import shutil
from contextlib import closing

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from layers.access import Access
from layers.backup import backup, restore
from layers.ledger.verify import verify
from layers.places import beside
from tests.api.test_ledger import HERE, Caller, box, county, founded

__all__ = ["county", "founded"]  # fixtures


def served(county, work):
    with TestClient(create_app(Settings(county=county)), base_url=HERE) as client:
        return work(client)


def held(key, west):
    def work(client):
        made = Caller(client, "planner").reserve(box(west, 0, west + 100, 100), key)
        assert made.status_code == 201
        return made.json()

    return work


def books(client):
    return Caller(client, "auditor").get("/ledger/verify").json()


def log(client):
    return Caller(client, "auditor").get("/audit/verify").json()


def test_entries_that_were_taken_from_the_end_are_missed(county):
    served(county, held("k1", 5_000))
    before = county.with_name("before.gpkg")
    shutil.copy(county, before)
    last = served(county, held("k2", 6_000))
    assert served(county, books)["whole"]
    shutil.copy(before, county)
    found = served(county, books)
    assert (found["what"], found["seq"]) == ("end", last["version"])
    assert f"to {last['version']} are missing from the end" in found["reason"]
    again = served(county, held("k3", 7_000))  # something else in their place is not what was seen
    assert again["version"] == last["version"]
    assert served(county, books)["what"] == "end"


def test_rows_that_were_taken_from_the_end_of_the_audit_log_are_missed(county):
    served(county, held("k1", 5_000))
    access = county.with_suffix(".access")
    shutil.copy(access, county.with_name("before.access"))
    served(county, held("k2", 6_000))
    assert served(county, log)["holds"]
    shutil.copy(county.with_name("before.access"), access)
    found = served(county, log)
    assert not found["holds"]
    assert "cut off" in found["fault"] or "not the one that was seen" in found["fault"]


def test_a_witness_does_not_go_back_and_a_backup_is_a_moment_of_both(county, tmp_path):
    last = served(county, held("k1", 5_000))
    with closing(Access(beside(county))) as access:
        seen = access.witnessed()
        assert seen is not None
        assert seen[0] == last["version"]
        access.witness(1, "0")
        assert access.witnessed() == seen
        access.witness(last["version"] + 5, "f")  # as if somebody wrote while the backup was taken
    backup(county, tmp_path / "all.zip")
    restore(tmp_path / "all.zip", tmp_path / "back.gpkg")
    found = served(tmp_path / "back.gpkg", books)
    assert found["whole"], found


@pytest.fixture
def ledger(stores):
    from tests.layers.ledger.books import opened

    store = stores.new()
    yield opened(store.ledger)
    store.close()


def test_every_commit_is_told_and_what_was_seen_must_be_there(ledger):
    from tests.layers.ledger.books import plot, reserve

    heard = []
    ledger.tell(lambda seq, head: heard.append((seq, head)))
    reserve(ledger, plot(1))
    reserve(ledger, plot(2))
    ledger.run(lambda page: None)
    assert [seq for seq, _ in heard] == [ledger.last() - 1, ledger.last()]
    assert verify(ledger, heard[0]).whole
    assert verify(ledger, heard[1]).whole
    assert verify(ledger, (heard[1][0] + 1, "0")).what == "end"
    assert verify(ledger, (heard[0][0], "0")).what == "end"
    with pytest.raises(ZeroDivisionError):
        ledger.run(lambda page: 1 / 0)

    def deaf(seq, head):
        raise OSError("the disk of the log is gone")

    ledger.tell(deaf)
    assert reserve(ledger, plot(3)).state == "reserved"
