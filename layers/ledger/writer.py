"""Many requests, one transaction: a thread of its own takes what waits, does each request as a part that is done wholly
or not at all, commits, and only then answers. Whoever got an answer will find what was done.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

from layers.errors import Busy, ParkError
from layers.ledger import acts

log = logging.getLogger(__name__)
MOST_AT_ONCE = 256  # requests of one COMMIT: enough to share its cost, few enough that nobody waits long
ANSWER_S = 60.0
LATE = "the books did not answer in time; ask again with the same key"
Told = Callable[[str], AbstractContextManager[None]]


class Torn(Exception):
    """The database gave up the transaction because of one request in it: nothing of it is done."""


class Written(acts.Page, Protocol):
    """A page that a writer can keep: it has parts."""

    def part(self) -> AbstractContextManager[None]:
        """Around changes that are made wholly or not at all."""

    @property
    def head(self) -> tuple[int, str]:
        """The last entry: its number and its hash."""

    def due(self) -> Sequence[str]:
        """Reservations whose time has come, some of them."""


P = TypeVar("P", bound=Written)
Job = tuple[Callable[[Any], Any], Callable[[Any], Any], "Future[Any]"]  # the work, how its outcome is told, to whom


class Writer(Generic[P]):
    """The one that writes in this process. `transaction` opens a page, and raises Busy where nobody can say what became
    of it."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[P]], told: Told) -> None:
        self._transaction, self._told = transaction, told
        self.heard: Callable[[int, str], None] | None = None  # after a COMMIT, before answers
        self._head = 0
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def begin(self, work: Callable[[P], Any], tell: Callable[[Any], Any] = lambda found: found) -> Future[Any]:
        """Put work in line; its outcome, as `tell` tells it, comes once it is durable. Whoever gives up before its turn
        has come (`cancel`) finds nothing done."""
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise Busy("the books are closed; the service is stopping")
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="ledger", daemon=True)
                self._thread.start()
            self._jobs.put((work, tell, future))
        return future

    def submit(self, work: Callable[[P], Any], tell: Callable[[Any], Any] = lambda found: found) -> Any:
        try:
            return self.begin(work, tell).result(ANSWER_S)
        except TimeoutError as error:
            raise Busy(LATE) from error

    def close(self) -> None:
        """What was asked is still done; then nothing more."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join()

    def _write(self) -> None:
        """The writer's thread: until it is told to stop."""
        while (first := self._jobs.get()) is not None:
            jobs, stop = [first], False
            while len(jobs) < MOST_AT_ONCE:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                    break
                jobs.append(more)
            self._answer([job for job in jobs if job[-1].set_running_or_notify_cancel()])
            if stop:
                break

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Do some requests and tell everybody what became of theirs."""
        if not jobs:
            return
        try:
            with self._told("written"):
                outcomes = self._together(jobs)
        except Torn:  # whose fault it was shows when each is alone
            for job in jobs:
                self._answer([job])
        except BaseException as error:
            for *_, future in jobs:
                future.set_exception(error)
        else:
            for (_, tell, future), (value, failed) in zip(jobs, outcomes, strict=True):
                try:
                    if failed is not None:
                        raise failed
                    future.set_result(tell(value))
                except Exception as error:
                    future.set_exception(error)

    def _hear(self, seq: int, head: str) -> None:
        if self.heard is not None and seq != self._head:
            try:
                self.heard(seq, head)
                self._head = seq
            except Exception:  # what is done is done; the next head says as much
                log.exception("the head of the books could not be kept elsewhere")

    def _together(self, jobs: Sequence[Job]) -> list[tuple[Any, BaseException | None]]:
        """Requests in one transaction, each wholly or not at all; it is durable when this returns."""
        outcomes: list[tuple[Any, BaseException | None]] = []
        try:
            with self._transaction() as page:
                for key in page.due():
                    try:
                        with page.part():
                            acts.expire(page, key)
                    except ParkError:  # verify names what is wrong with it; the others must not wait for that
                        log.exception("reservation %s cannot expire", key)
                for work, *_ in jobs:
                    try:
                        with self._told("written"), page.part():
                            outcomes.append((work(page), None))
                    except Exception as error:
                        outcomes.append((None, error))
            self._hear(*page.head)
        except Torn as torn:
            if len(jobs) > 1:
                raise
            failed = outcomes[0][1] if outcomes else None
            raise failed or torn.__cause__ or torn from None
        return outcomes
