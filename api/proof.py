"""Proves what was decided: every stored check and every reservation is asked again on what it was worked out from, and
every plan is what was written.

Asked again are those whose layer versions are still kept; of the others their digests alone are compared. The first
thing that does not hold is named. Where the program has changed since, another answer is no fault of what is kept: it
is counted apart.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from api.jobs import plan_digest
from api.recheck import book_of, program, recheck
from gis.claims import claim
from gis.rules import Rulebook
from layers.errors import ParkError, UnknownName
from layers.ledger import book as books
from layers.ledger import chain
from layers.ledger.records import Balance, Entry
from layers.ledger.story import claim_digest
from layers.records import Project
from layers.store import Store

Progress = Callable[[int, int], None]


@dataclass
class Proven:
    """How many were looked at and how many of them were asked again, or the first that does not hold."""

    rulebooks: int = 0
    checks: int = 0
    checks_again: int = 0
    reservations: int = 0  # times that ground was reserved
    reservations_again: int = 0
    unpinned: int = 0  # from before it was kept what they rest on
    plans: int = 0
    other_program: list[str] = field(default_factory=list)
    what: str | None = None
    id: str | None = None
    reason: str | None = None

    @property
    def whole(self) -> bool:
        return self.what is None


class _Broken(Exception):
    def __init__(self, what: str, key: str, reason: str) -> None:
        super().__init__(reason)
        self.what, self.key = what, key


def prove(store: Store, *, again: bool = True, progress: Progress = lambda done, all_: None) -> Proven:
    """Digests and, with `again`, the answers of everything that was decided; nothing is written."""
    found = Proven()
    try:
        kept = _rulebooks(store, found)
        _checks(store, found, kept, again, progress)
        _reservations(store, found, kept, again, progress)
        _plans(store, found, kept)
    except _Broken as broken:
        found.what, found.id, found.reason = broken.what, broken.key, str(broken)
    return found


def _documents(store: Store, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in store.keys(kind):
        try:
            yield key, store.load(kind, key)
        except (ValueError, TypeError) as error:
            raise _Broken(kind, key, f"{kind} {key} cannot be read ({error})") from error


def _rulebooks(store: Store, found: Proven) -> dict[str, Rulebook]:
    """Every rulebook that was used, by its digest."""
    kept = {}
    for key, document in _documents(store, "rulebook"):
        try:
            one = book_of(document)
            digest = one.digest
        except (LookupError, TypeError, ValueError, ParkError) as error:
            raise _Broken("rulebook", key, f"rulebook {key[:12]} cannot be read ({error})") from error
        if digest != key:
            raise _Broken("rulebook", key, f"rulebook {key[:12]} is not what was used")
        kept[key] = one
        found.rulebooks += 1
    for key, labels in _documents(store, "layers"):
        if hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest() != key:
            raise _Broken("layers", key, f"the set of layers {key[:12]} is not what was used")
    return kept


def _checks(store: Store, found: Proven, kept: Mapping[str, Rulebook], again: bool, progress: Progress) -> None:
    keys = store.keys("check")
    for place, (key, one) in enumerate(_documents(store, "check")):
        progress(place, len(keys))
        found.checks += 1
        try:
            facts = hashlib.sha256(json.dumps(one["facts"], sort_keys=True).encode()).hexdigest()
            pinned, digest = one["rulebook_digest"], one["facts_digest"]
        except (LookupError, TypeError) as error:
            raise _Broken("check", key, f"check {key} is not whole ({error})") from error
        if facts != digest:
            raise _Broken("check", key, f"the facts of check {key} are not what was measured")
        if pinned not in kept:
            raise _Broken("check", key, f"the rulebook of check {key} is gone")
        if not again:
            continue
        try:
            told = recheck(store, key)
        except UnknownName:
            continue  # a layer version of it is no longer kept
        found.checks_again += 1
        if not told["same"]:
            first = told["differences"][0]
            said = f"check {key} is answered otherwise: {first['field']} was {first['was']!r}, is {first['is']!r}"
            if told["program"]["was"] == told["program"]["is"]:
                raise _Broken("check", key, said[:400])
            found.other_program.append(key)


def _reservations(store: Store, found: Proven, kept: Mapping[str, Rulebook], again: bool, progress: Progress) -> None:
    """Each claim is worked out again with the books as they were when it was."""
    asked: dict[int, list[Entry]] = {}
    for stored in store.ledger.journal():
        one = chain.entry(stored)
        if one.draft.event != "reserve":
            continue
        found.reservations += 1
        seen = one.draft.detail.get("pinned")
        if seen is None:
            found.unpinned += 1
        elif seen["rulebook"] not in kept:
            said = f"the rulebook of reservation {one.draft.reservation} is gone"
            raise _Broken("reservation", str(one.draft.reservation), said)
        else:
            asked.setdefault(seen["books"] or 0, []).append(one)
    if not (asked and again):
        return
    some, done = sum(map(len, asked.values())), 0
    records = _records(store)
    balances: dict[str, Balance] = {}
    last = max(asked)
    for now in itertools.chain((None,), store.ledger.journal()):
        seq, postings = (0, ()) if now is None else (now.row[0], chain.entry(now).draft.postings)
        balances = books.fold(postings, balances) if postings else balances
        for one in asked.get(seq, ()):
            progress(done, some)
            done += 1
            _claim_again(store, found, kept, one, records[str(one.draft.reservation)], balances)
        if seq >= last:
            break


def _records(store: Store) -> dict[str, Entry]:
    """Reservation -> the entry that opened it."""
    first: dict[str, Entry] = {}
    for stored in store.ledger.journal():
        if stored.row[9] is not None and stored.row[9] not in first:
            first[stored.row[9]] = chain.entry(stored)
    return first


def _claim_again(
    store: Store,
    found: Proven,
    kept: Mapping[str, Rulebook],
    entry: Entry,
    opened: Entry,
    balances: Mapping[str, Balance],
) -> None:
    seen, key = entry.draft.detail["pinned"], str(entry.draft.reservation)
    said = opened.draft.detail
    project = None if said["project"] is None else Project.model_validate(said["project"])
    left = {name: float(one.available) for name, one in balances.items()}
    try:
        labels = store.load("layers", seen["layers"])
        world = store.seen(labels, date.fromisoformat(seen["as_of"]), said["for_year"], left)
        ground, book = store.ledger.ground(str(entry.draft.ground)), kept[seen["rulebook"]]
        linked = any(kind == "linked" for kind, *_ in entry.draft.detail["claim"]["others"])
        now = claim(ground, project, book, world, said["charge_to"], linked=linked)
    except UnknownName:
        return  # a layer version of it is no longer kept
    found.reservations_again += 1
    if claim_digest(now) != seen["facts"]:
        if seen["program"] != program():
            found.other_program.append(key)
            return
        raise _Broken("reservation", key, f"reservation {key} would take something else of the same layers and rules")


def _plans(store: Store, found: Proven, kept: Mapping[str, Rulebook]) -> None:
    for key, one in _documents(store, "plan"):
        if one.get("status") != "done":
            continue
        found.plans += 1
        if "plan_digest" not in one:
            found.unpinned += 1
            continue
        if plan_digest(one) != one["plan_digest"]:
            raise _Broken("plan", key, f"plan {key} is not what was worked out")
        if one["rulebook_digest"] not in kept:
            raise _Broken("plan", key, f"the rulebook of plan {key} is gone")
