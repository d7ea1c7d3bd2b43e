"""The life of a reservation as one table: (state, event) -> the next state and what moves in its accounts.

    intended ─reserve─> reserved ─apply─> applied ─approve─> approved ─supply─> supplied ─commission─> commissioned
                            └── return <─────┘

What is held moves available -> reserved -> locked -> spent, and back to available where a reservation ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from layers.errors import Fault, IllegalTransition
from layers.ledger.records import Bucket

INTENDED, RESERVED, APPLIED, APPROVED = "intended", "reserved", "applied", "approved"
SUPPLIED, COMMISSIONED = "supplied", "commissioned"
STATE_NAMES = {
    INTENDED: "意向",
    RESERVED: "预留",
    APPLIED: "冻结",
    APPROVED: "核销",
    SUPPLIED: "已供",
    COMMISSIONED: "投产",
    "released": "已释放",
    "rejected": "已退回",
    "withdrawn": "已撤回",
    "revoked": "批文已撤回",
    "expired": "已过期",
}
# A commissioned plant still stands on its ground, so it holds it until it is released (收回、腾退).
LIVE = (RESERVED, APPLIED, APPROVED, SUPPLIED, COMMISSIONED)
ENDS = ("released", "rejected", "withdrawn", "revoked", "expired")
BUCKET_OF: dict[str, Bucket] = {RESERVED: "reserved", APPLIED: "locked", APPROVED: "spent", SUPPLIED: "spent"}

Move = tuple[Bucket, Bucket]


@dataclass(frozen=True)
class Step:
    """Where an event leads. `move` is what its charges do; `papers` says that it stands on a document."""

    to: str
    move: Move | None = None
    papers: bool = False


STEPS: dict[tuple[str, str], Step] = {
    ("", "intend"): Step(INTENDED),
    ("", "reserve"): Step(RESERVED, ("available", "reserved")),
    (INTENDED, "reserve"): Step(RESERVED, ("available", "reserved")),
    (INTENDED, "release"): Step("released"),
    (RESERVED, "apply"): Step(APPLIED, ("reserved", "locked")),
    (RESERVED, "extend"): Step(RESERVED),
    (RESERVED, "release"): Step("released", ("reserved", "available")),
    (RESERVED, "expire"): Step("expired", ("reserved", "available")),
    (APPLIED, "return"): Step(RESERVED, ("locked", "reserved")),
    (APPLIED, "approve"): Step(APPROVED, ("locked", "spent"), papers=True),
    (APPLIED, "reject"): Step("rejected", ("locked", "available")),
    (APPLIED, "withdraw"): Step("withdrawn", ("locked", "available")),
    (APPROVED, "supply"): Step(SUPPLIED),
    (APPROVED, "revoke"): Step("revoked", ("spent", "available"), papers=True),
    (SUPPLIED, "supply"): Step(SUPPLIED),
    (SUPPLIED, "progress"): Step(SUPPLIED),
    (SUPPLIED, "commission"): Step(COMMISSIONED, ("spent", "recalled"), papers=True),  # its loads alone
    (COMMISSIONED, "release"): Step("released", papers=True),
}


def legal(state: str) -> list[str]:
    """The events that are possible in a state.

    >>> legal("applied")
    ['return', 'approve', 'reject', 'withdraw']
    """
    return [event for at, event in STEPS if at == state]


def step(state: str, event: str) -> Step:
    """Where an event leads from a state; IllegalTransition says what would be legal."""
    found = STEPS.get((state, event))
    if found is None:
        ways = legal(state)
        fix = f"From {state} it may {', '.join(ways)}" if ways else f"{state} is an end; make a new reservation"
        fault = Fault(f"{event} is not possible in the state {state}", fix, field="event")
        facts = {"state": state, "event": event, "legal": ", ".join(ways)}
        raise IllegalTransition(f"a reservation that is {state} cannot {event}", [fault], **facts)
    return found
