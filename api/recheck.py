"""Asking a stored check again on exactly what it saw: the same layer versions, balances and rules.

What a check saw is kept beside its answer: the site to the last digit (the answer rounds it), the balances, and by
its digest the rulebook. If the answer then differs, the program has changed, and the difference says where.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from functools import cache
from importlib.metadata import version
from io import StringIO
from typing import Any

import pandas as pd
import shapely

from api.answers import answer, asked_columns
from gis.check import check
from gis.meetings import MEETINGS, Serving
from gis.rules import Rule, Rulebook
from layers.records import Part, Project, Site
from layers.store import Store
from layers.stored_world import StoredWorld

SAME = ("verdict", "site", "findings", "land_use", "occupation", "quota_need", "facts", "principles", "nearness")
MOST_DIFFERENCES = 200


@cache
def program() -> str:
    """Which version of us answers; its metadata are a file that is searched for."""
    return version("parkplan")


def seen(site: Site, pools: Mapping[str, float], rulebook: Rulebook, by: str) -> dict[str, Any]:
    """What one answer does not say of what it was given, and who asked."""
    return {
        "parts": [
            {"wkb": shapely.to_wkb(part.geometry, hex=True), "parcel": part.parcel, "plot": part.plot}
            for part in site.parts
        ],
        "wkb": shapely.to_wkb(site.geometry, hex=True),
        "pools": {account: None if left != left else left for account, left in pools.items()},
        "rulebook_digest": rulebook.digest,
        "program": program(),
        "by": by,
    }


def pin(store: Store, rulebook: Rulebook, world: StoredWorld, known: set[str]) -> dict[str, Any]:
    """What a claim is worked out from, by digests; rulebook and layers are kept under theirs, unless they are `known`
    to be."""
    labels = world.labels
    layers = hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()
    kept = []
    if rulebook.digest not in known:
        kept.append(("rulebook", rulebook.digest, book_document(rulebook)))
    if layers not in known:
        kept.append(("layers", layers, labels))
    if kept:
        store.save_all(kept)
        known |= {digest for _, digest, _ in kept}
    return {
        "rulebook": rulebook.digest,
        "layers": layers,
        "books": world.books,
        "as_of": world.as_of.isoformat(),
        "program": program(),
    }


def book_document(rulebook: Rulebook) -> dict[str, Any]:
    """A rulebook as a document that can be read again."""
    rules = json.loads(json.dumps([asdict(rule) for rule in rulebook.rules], default=str, ensure_ascii=False))
    return {"rules": rules, "tables": {name: table.to_csv(index=False) for name, table in rulebook.tables.items()}}


def book_of(document: Mapping[str, Any]) -> Rulebook:
    """The rulebook a document holds, with the digest it had."""
    rules = tuple(Rule(**{**row, "at": tuple(row["at"]), **_dates(row)}) for row in document["rules"])
    tables = {
        name: pd.read_csv(StringIO(text), dtype=str, keep_default_na=False) for name, text in document["tables"].items()
    }
    return Rulebook(rules, tables)


def _dates(row: Mapping[str, Any]) -> dict[str, date | None]:
    return {name: date.fromisoformat(row[name]) if row[name] else None for name in ("since", "until")}


def recheck(store: Store, check_id: str) -> dict[str, Any]:
    """The stored check's question asked again: `same`, and if not, what was and what is, field by field.

    Raises UnknownName where the check, what it saw or a layer version of it is no longer kept.
    """
    was = store.load("check", check_id)
    given = store.load("check_seen", check_id)
    book = book_of(store.load("rulebook", given["rulebook_digest"]))
    parts = [Part(shapely.from_wkb(one["wkb"]), one["parcel"], one["plot"]) for one in given["parts"]]
    site = Site(tuple(parts), shapely.from_wkb(given["wkb"]))
    pools = {account: float("nan") if left is None else left for account, left in given["pools"].items()}
    world = store.seen(was["layer_versions"], date.fromisoformat(was["as_of"]), was["for_year"], pools)
    project = Project.model_validate(was["project"])
    checked = check([site.geometry], project, book, world, purpose=was["purpose"], extra=asked_columns(book))
    again: dict[str, Any] = json.loads(json.dumps(answer(checked, 0, 0, site, key=check_id)))
    for one in (was, again):
        _without_ways(one, book)
    differences = [one for name in SAME if name in was for one in _differences(name, was[name], again[name])]
    return {
        "id": check_id,
        "same": not differences,
        "verdict": {"was": was["verdict"], "is": again["verdict"]},
        "differences": differences[:MOST_DIFFERENCES],
        "more": max(0, len(differences) - MOST_DIFFERENCES),
        "layer_versions": was["layer_versions"],
        "rulebook_digest": given["rulebook_digest"],
        "program": {"was": given["program"], "is": program()},
    }


def _without_ways(said: dict[str, Any], book: Rulebook) -> None:
    """A way to a facility is shown where one is kept that day, and no verdict depends on it."""
    routed = {rule.id for rule in book.rules if any(isinstance(MEETINGS.get(n), Serving) for n in rule.columns)}
    said["findings"] = [{**one, "evidence": None} if one["rule"] in routed else one for one in said["findings"]]


def _differences(path: str, was: Any, now: Any) -> Iterator[dict[str, Any]]:
    """Where two JSON values differ, by path."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted(was.keys() | now.keys()):
            yield from _differences(f"{path}.{key}", was.get(key), now.get(key))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for place, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from _differences(f"{path}[{place}]", one, other)
    elif was != now:
        yield {"field": path, "was": was, "is": now}
