"""What can go wrong, as one small tree. Nothing here knows of HTTP or of exit codes.

    ParkError
    ├── BadInput        what was sent cannot be used; every fault is listed
    │   ├── NeedCrs     the coordinates have no reference system that we may trust
    │   ├── IllegalTransition  a reservation does not go that way from where it stands
    │   └── KeyReused   the idempotency key stands for another request
    ├── UnknownName     no such county, role, parcel, project, check or zone
    ├── Refused         the caller may not do this
    ├── TooLarge        more than this service takes at once
    ├── Stale           what the caller saw is no longer so
    ├── NeedSeen        the caller must say what it saw (If-Match)
    ├── GroundTaken     the ground is held by somebody else
    ├── QuotaShort      a quota account does not have that much
    ├── CapacityShort   a facility does not have that much
    ├── Exists          the name is taken already
    ├── Busy            it would be taken at another moment
    ├── SolverDied      the planner's own process ended without an answer
    ├── NotInstalled    this machine lacks what the answer needs (a Chinese font)
    └── StoreBroken     the county file or database itself cannot be read or written
        └── Unreachable the database does not answer; another moment it may

A failed siting check is an answer, not an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input: where it is, what it is, and what to do about it."""

    reason: str
    fix: str
    file: str | None = None
    layer: str | None = None
    feature: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        named = (("", self.file), ("layer ", self.layer), ("feature ", self.feature), ("field ", self.field))
        where = ", ".join(f"{label}{value}" for label, value in named if value)
        return f"{where}: {self.reason}. {self.fix}" if where else f"{self.reason}. {self.fix}"


class ParkError(Exception):
    """Something we cannot answer; the facts of the case are in `facts`."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class BadInput(ParkError):
    """The input cannot be used. `faults` holds all of them, not the first."""

    def __init__(self, message: str, faults: Sequence[Fault] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n  ".join([self.message, *map(str, self.faults)])


class NeedCrs(BadInput):
    """No usable coordinate reference system: the operator has to say which it is."""


class IllegalTransition(BadInput):
    """A reservation does not go that way from where it stands; `legal` names the ways that it does."""


class KeyReused(BadInput):
    """An idempotency key stands for one request for ever; this is another."""


class UnknownName(ParkError):
    """A name that stands for nothing here."""


class Refused(ParkError):
    """The caller is known and may not do this."""


class TooLarge(ParkError):
    """More bytes, vertices or sites than one request may bring."""


class Stale(ParkError):
    """What the caller saw is no longer so: somebody was faster."""


class NeedSeen(ParkError):
    """A change to what others may change too needs the version that the caller saw."""


class GroundTaken(ParkError):
    """Somebody holds the ground; `reservation`, `state` and `overlap_m2` say who and how much of it."""


class QuotaShort(ParkError):
    """Less is left than is needed: `account`, `needed`, `available`, `unit`."""


class CapacityShort(ParkError):
    """Less is left than is needed: `account`, `needed`, `available`, `unit`."""


class Exists(ParkError):
    """What is to be made is there already."""


class Busy(ParkError):
    """It would be taken at another moment: ask again."""


class SolverDied(ParkError):
    """The solver's process ended without an answer."""


class NotInstalled(ParkError):
    """This machine lacks what the answer needs; the message says what to install."""


class StoreBroken(ParkError):
    """The county file or its database cannot be read or written."""


class NoRoom(StoreBroken):
    """The disk is full: nothing of what was asked is done, and it can be asked again when there is room."""


class Unreachable(StoreBroken):
    """The database does not answer. That is no word on any layer: what was asked has no answer, not even unknown."""
