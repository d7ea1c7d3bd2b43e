"""The chain: each entry's hash covers all that is kept of the entry and the hash of the one before it.

Whoever alters a byte of an entry, or takes one out, would have to alter every later one; `broken` names the first
that does not hold. What is hashed are the values as they are stored, not what they mean: a blank more is found, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from layers.ledger.records import Draft, Entry, Paper, Posting

FIRST = "0" * 64
COLUMNS = (
    "seq", "at", "actor", "event", "document_number", "document_date", "note", "project", "batch", "reservation",
    "parcels", "ground", "reverses", "detail",
)  # fmt: skip


def text(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """JSON in the one way that is kept and hashed."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as it is kept: its row in the order of COLUMNS, its postings (line, account, debit, credit, amount), its
    place in the chain."""

    row: tuple[Any, ...]
    postings: tuple[tuple[Any, ...], ...]
    previous: Any
    hash: Any


def stored(seq: int, at: str, draft: Draft, previous: str) -> Stored:
    """An entry ready to be kept, with its hash."""
    paper = draft.document
    row = (
        seq,
        at,
        draft.actor,
        draft.event,
        None if paper is None else paper.number,
        None if paper is None else paper.date.isoformat(),
        draft.note,
        draft.project,
        draft.batch,
        draft.reservation,
        text(draft.parcels),
        draft.ground,
        draft.reverses,
        text(draft.detail),
    )
    postings = tuple((n, one.account, one.debit, one.credit, one.amount) for n, one in enumerate(draft.postings))
    return Stored(row, postings, previous, _hash(row, postings, previous))


def entry(kept: Stored) -> Entry:
    """What a stored entry says."""
    seq, at, actor, event, number, day, note, project, batch, reservation, parcels, ground, reverses, detail = kept.row
    paper = None if number is None else Paper(number, date.fromisoformat(day))
    postings = tuple(Posting(*one[1:]) for one in kept.postings)
    names = tuple(json.loads(parcels))
    said = (actor, event, postings, paper, note, project, batch, reservation, names, ground, reverses)
    return Entry(seq, at, Draft(*said, json.loads(detail)), kept.previous, kept.hash)


def _hash(row: tuple[Any, ...], postings: tuple[tuple[Any, ...], ...], previous: str) -> str:
    body = json.dumps([row, postings, previous], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()


def broken(entries: Iterable[Stored], head: tuple[int, str] | None = None) -> tuple[int, str] | None:
    """The first entry that does not hold, with the reason; None where the chain is whole and ends where it should."""
    previous, wanted = FIRST, 1
    for one in entries:
        if one.row[0] != wanted:
            return wanted, f"entry {wanted} is missing: {one.row[0]!r} follows {wanted - 1}"
        if one.previous != previous:
            return wanted, f"entry {wanted} does not follow entry {wanted - 1} as that one is"
        try:
            found = _hash(one.row, one.postings, previous)
        except (TypeError, ValueError):  # a blob, or half a character, where text belongs
            found = ""
        if found != one.hash:
            return wanted, f"entry {wanted} is not what was written"
        previous, wanted = found, wanted + 1
    if head is not None and head != (wanted - 1, previous):
        return wanted, f"the journal ends at entry {wanted - 1}, its head says {head[0]}"
    return None
