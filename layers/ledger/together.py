"""Many reservations as one act: all of a joint plan are booked, or none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from layers.errors import CapacityShort, GroundTaken, QuotaShort, Stale, UnknownName
from layers.ledger.acts import Ask, Page, reserve
from layers.ledger.records import Reservation


def id_of(plan: str, project: str) -> str:
    """The reservation that a plan becomes for a project: always the same, so that it is never made twice.

    It begins with the time of the plan, as other ids begin with theirs.

    >>> id_of("0019a1b2c3d4e5f60718", "TEA")[:12]
    'R0019a1b2c3d'
    """
    return f"R{plan[:11]}{hashlib.sha256(f'{plan}/{project}'.encode()).hexdigest()[:12]}"


def known(page: Page, keys: Sequence[str]) -> list[Reservation]:
    """Those of some reservations that there are, in their order."""
    found = []
    for key in keys:
        try:
            found.append(page.reservation(key))
        except UnknownName:
            continue
    return found


def reserve_all(page: Page, asks: Sequence[Ask], seen: Mapping[str, int]) -> tuple[list[Reservation], bool]:
    """Make reservations with ids of their own, all or none; what was made before is given as it stands now.

    `seen` is what was left of accounts when it was decided. Returns them and whether they were made now. Raises what
    reserving raises, with the project in its facts, and Stale where an account holds another amount than was seen.
    """
    keys = [str(one.id) for one in asks]
    if there := known(page, keys):
        return there, False
    left = {name: found.available if (found := page.balance(name)) is not None else 0 for name in seen}
    made = []
    for ask in asks:
        try:
            made.append(reserve(page, ask))
        except (GroundTaken, QuotaShort, CapacityShort) as error:
            error.message = f"{ask.project}: {error.message}"
            error.facts["project"] = ask.project
            raise
    if changed := [name for name in sorted(seen) if left[name] != seen[name]]:
        words = "; ".join(f"{name} has {left[name]:,} where the plan saw {seen[name]:,}" for name in changed[:5])
        raise Stale(f"the books changed since the plan was made: {words}", changed=", ".join(changed))
    return made, True
