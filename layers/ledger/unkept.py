"""The books of a county in a database, which are not kept there yet: nothing is in them, and nothing can be entered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import NoReturn

import shapely

from layers.errors import StoreBroken, UnknownName
from layers.ledger.chain import Stored
from layers.ledger.keeping import Hold
from layers.ledger.records import Balance, Entry, Reservation
from layers.records import Bounds


class Unkept:
    """Empty books. Reading finds nothing; StoreBroken where something is entered."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock

    def run(self, work: object) -> NoReturn:
        raise StoreBroken("the books of a county in a database are not kept yet; keep it in a .gpkg file")

    def once(self, key: object, work: object) -> NoReturn:
        self.run(work)

    def answered(self, key: object) -> None:
        return None

    def sweep(self) -> None: ...

    def last(self) -> int:
        return 0

    def seq_at(self, day: date) -> int:
        return 0

    def balances(self, holder: str | None = None, until: int | None = None) -> list[Balance]:
        return []

    def entries(self, of: str | None = None, after: int = 0, limit: int = 1000) -> list[Entry]:
        return []

    def reservation(self, key: str) -> Reservation:
        raise UnknownName(f"no reservation {key!r}", reservation=key)

    def reservations(self, states: Sequence[str] = (), after: str = "", limit: int | None = None) -> list[Reservation]:
        return []

    def history(self, reservation: str) -> list[Entry]:
        return []

    def ground(self, digest: str) -> shapely.Geometry:
        raise UnknownName(f"no ground {digest!r}", ground=digest)

    def held_since(self, until: int | None = None) -> int:
        return 0

    def holds(self, until: int | None = None, bounds: Bounds | None = None) -> list[Hold]:
        return []

    def journal(self) -> Iterator[Stored]:
        return iter(())

    def kept_balances(self) -> Mapping[str, Balance]:
        return {}

    def kept_reservations(self) -> Mapping[str, Reservation]:
        return {}

    def kept_holds(self) -> Sequence[tuple[str, str, int, int | None]]:
        return []

    def kept_grounds(self) -> Iterator[tuple[str, bytes]]:
        return iter(())

    def close(self) -> None: ...
