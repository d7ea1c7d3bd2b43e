"""Each of a county's two journals keeps how far the other has come, so that its end cannot be taken away unseen.

The books tell the file of users and audit log their head after each COMMIT, before anybody is answered; the county
keeps that of the audit log, at most every few seconds.
"""

from __future__ import annotations

import time

from layers.access import Access
from layers.errors import UnknownName
from layers.store import Store

EVERY_S = 5.0


class Witness:
    """Listens to the books of a county for as long as they are open."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store, self._access = store, access
        self._last = 0.0
        store.ledger.tell(self.note)

    def note(self, seq: int, head: str) -> None:
        self._access.witness(seq, head)
        if time.monotonic() - self._last > EVERY_S:
            self._last = time.monotonic()
            self.keep()

    def keep(self) -> None:
        """Keep the head of the audit log in the county."""
        rows, head = self._access.head()
        was = audit_seen(self._store)
        if rows and (was is None or rows > was[0]):
            self._store.save("witness", "audit", {"rows": rows, "head": head})


def audit_seen(store: Store) -> tuple[int, str] | None:
    """The row of the audit log that the county has seen last: its number, and its hash (hex)."""
    try:
        kept = store.load("witness", "audit")
    except UnknownName:
        return None
    return int(kept["rows"]), str(kept["head"])
