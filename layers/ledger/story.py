"""What the entries of a reservation come to: one function tells it when an entry is made and when it is verified."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any

from layers.errors import UnknownName
from layers.ledger import chain
from layers.ledger.records import Charge, Draft, Paper, Reservation
from layers.ledger.states import ENDS, step
from layers.records import Areas, Claim, Load, Other


def told(before: Reservation | None, seq: int, at: str, draft: Draft) -> Reservation:
    """A reservation after an entry. Raises IllegalTransition where it does not go that way."""
    to = step(before.state if before is not None else "", draft.event).to
    said = draft.detail
    if before is None:
        before = _opened(seq, at, draft)
    changes: dict[str, Any] = {"state": to, "version": seq}
    if "claim" in said:
        changes["claim"] = claim_of(said["claim"])
    if "pinned" in said:
        changes["pinned"] = said["pinned"]
    if draft.postings:
        changes["charges"] = _held(before, draft)
    if to == "reserved":
        changes["expires_at"] = said.get("expires_at", before.expires_at)
    elif to != "intended":
        changes["expires_at"] = None
    if draft.event == "apply":
        changes["applied_by"] = draft.actor
    elif draft.event == "approve":
        changes |= {"approved": Areas(**said["approved"]), "approved_at": at, "approval": draft.document}
    elif draft.event == "supply":
        changes["supplies"] = (*before.supplies, said["supply"])
    elif draft.event == "progress":
        seen = {key: {**before.progress.get(key, {}), **now} for key, now in said["progress"].items()}
        changes["progress"] = {**before.progress, **seen}
    elif draft.event == "commission":
        changes["commissioned_on"] = said["surveyed_on"]
    return before.with_(**changes)


def _opened(seq: int, at: str, draft: Draft) -> Reservation:
    if draft.reservation is None or draft.ground is None:
        raise UnknownName("the entry names no reservation")
    said = draft.detail
    return Reservation(
        id=draft.reservation,
        state="",
        version=seq,
        project=draft.project,
        batch=draft.batch,
        for_year=said["for_year"],
        charge_to=said["charge_to"],
        parcels=draft.parcels,
        ground=draft.ground,
        area_m2=said["area_m2"],
        created_by=draft.actor,
        created_at=at,
        claim=claim_of(said["claim"]),
        plan=said.get("plan"),
    )


def _held(before: Reservation, draft: Draft) -> tuple[Charge, ...]:
    """What is held after the postings: what they moved on, or what they left where it was."""
    if draft.event == "commission":
        gone = {one.account for one in draft.postings}
        return tuple(one for one in before.charges if one.account not in gone)
    on = [one for one in draft.postings if one.credit in ("reserved", "locked", "spent")]
    return tuple(Charge(one.account, one.amount) for one in on)


def ended(one: Reservation) -> bool:
    return one.state in ENDS


# --- as JSON ------------------------------------------------------------------------------------------


def claim_json(claim: Claim) -> dict[str, Any]:
    return {
        "areas": dict(claim.areas.items()),
        "shares": [list(one) for one in claim.shares],
        "others": [[one.kind, one.amount, [list(share) for share in one.shares]] for one in claim.others],
        "loads": [[one.kind, one.amount, [list(route) for route in one.routes]] for one in claim.loads],
        "untaken": [list(one) for one in claim.untaken],
    }


def claim_digest(claim: Claim) -> str:
    """Names what a claim says."""
    return hashlib.sha256(chain.text(claim_json(claim)).encode()).hexdigest()


def claim_of(said: Mapping[str, Any]) -> Claim:
    return Claim(
        Areas(**said["areas"]),
        tuple((unit, share) for unit, share in said["shares"]),
        tuple(Other(kind, amount, tuple((u, s) for u, s in shares)) for kind, amount, shares in said["others"]),
        tuple(Load(kind, amount, tuple(tuple(route) for route in routes)) for kind, amount, routes in said["loads"]),
        tuple((kind, why) for kind, why in said["untaken"]),
    )


def reservation_json(one: Reservation) -> dict[str, Any]:
    """A reservation as the books keep it."""
    return {
        "id": one.id,
        "state": one.state,
        "version": one.version,
        "project": one.project,
        "batch": one.batch,
        "for_year": one.for_year,
        "charge_to": one.charge_to,
        "parcels": list(one.parcels),
        "ground": one.ground,
        "area_m2": one.area_m2,
        "created_by": one.created_by,
        "created_at": one.created_at,
        "claim": claim_json(one.claim),
        "charges": [[charge.account, charge.amount] for charge in one.charges],
        "expires_at": one.expires_at,
        "applied_by": one.applied_by,
        "approved": None if one.approved is None else dict(one.approved.items()),
        "approved_at": one.approved_at,
        "approval": None if one.approval is None else [one.approval.number, one.approval.date.isoformat()],
        "supplies": list(one.supplies),
        "progress": dict(one.progress),
        "commissioned_on": one.commissioned_on,
        **({} if one.plan is None else {"plan": dict(one.plan)}),
        **({} if one.pinned is None else {"pinned": dict(one.pinned)}),
    }


def reservation_of(said: Mapping[str, Any]) -> Reservation:
    paper = said["approval"]
    return Reservation(**{
        **said,
        "parcels": tuple(said["parcels"]),
        "claim": claim_of(said["claim"]),
        "charges": tuple(Charge(name, amount) for name, amount in said["charges"]),
        "approved": None if said["approved"] is None else Areas(**said["approved"]),
        "approval": None if paper is None else Paper(paper[0], date.fromisoformat(paper[1])),
        "supplies": tuple(said["supplies"]),
    })  # fmt: skip
