"""Plans as jobs: kept as documents, run one after the other, taken up again after a restart.

A job is a document `plan`; its process says every few seconds that it still lives. What another process left unfinished
is begun again once, by whoever starts next; a second time it is failed, with its reason. A plan is cancelled by a
document of its own, which the process that runs it looks for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from api.networks import Networks
from api.planned import dressed
from api.planning import joint_plan
from api.recheck import book_document
from api.wording import both, fault_row, line_of
from gis.rules import Rulebook
from gis.scenario import Scenario
from layers.errors import BadInput, ParkError, Stale, UnknownName
from layers.records import Project
from layers.store import Store

log = logging.getLogger(__name__)
BEAT_S = 2.0
GONE_S = 30.0  # without a sign of life a job's process counts as gone
ONCE_MORE = 1
DECIDED = (
    "assignments", "unplaced", "pools", "expansions", "objective", "bound", "gap", "scenario", "rulebook_digest",
    "layer_versions", "books",
)  # fmt: skip
ENDED = ("done", "failed", "cancelled")
SEVERAL = {"zh": "候选地块", "en": "candidate sites"}
ME = secrets.token_hex(8)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def job_of(
    projects: list[Project], scenario: Scenario, by: str, zones: list[str] | None = None, library: Iterable[str] = ()
) -> dict[str, Any]:
    """A plan that was asked for and not begun; `library` names the projects that are those of the library."""
    return {
        "id": f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(4)}",
        "status": "queued",
        "progress": {"phase": "queued", "share": None, "seconds": 0.0, "objective": None, "bound": None, "gap": None},
        "by": by,
        "zones": zones,
        "begun": 0,
        "created_at": now(),
        "asked": {
            "projects": [one.model_dump(mode="json", exclude_none=True) for one in projects],
            "scenario": scenario.model_dump(mode="json"),
            "library": sorted(library),
        },
    }


def plan_digest(plan: Mapping[str, Any]) -> str:
    """Names what a plan decided, and what it was worked out from."""
    kept = {name: plan.get(name) for name in DECIDED}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class _Ended(Exception):
    """The plan at work was cancelled, or the service stops."""


class Plans:
    """The plans of a county and the one thread of this process that works them out."""

    def __init__(self, store: Store, book: Callable[[], Rulebook], networks: Networks | None = None) -> None:
        self._store, self._book, self._networks = store, book, networks
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Take up what a process that is gone left behind."""
        for job in self._store.list("plan"):
            if job["status"] in ("queued", "running") and not self._lives(job):
                again = job["begun"] if job["status"] == "running" else job["begun"] - 1
                if again > ONCE_MORE:
                    self._end(job, "failed", "its process ended twice before the plan was done")
                else:
                    self._store.save("plan", job["id"], {**job, "status": "queued", "process": self._process()})
                    self._put(job["id"])

    def stop(self) -> None:
        """End the plan at work; it stays to be taken up again."""
        self._stop.set()
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join()

    def submit(
        self,
        projects: list[Project],
        scenario: Scenario,
        by: str,
        zones: list[str] | None,
        library: Iterable[str] = (),
    ) -> dict[str, Any]:
        job = job_of(projects, scenario, by, zones, library) | {"process": self._process()}
        self._store.save("plan", job["id"], job)
        self._put(str(job["id"]))
        return job

    def all(self) -> list[dict[str, Any]]:
        """Every plan, the newest first."""
        return sorted(self._store.list("plan"), key=lambda job: str(job["id"]), reverse=True)

    def read(self, key: str) -> dict[str, Any]:
        job = self._store.load("plan", key)
        if job["status"] not in ENDED and self._is_cancelled(key):
            return {**job, "status": "cancelled"}
        return job

    def cancel(self, key: str) -> dict[str, Any]:
        job = self._store.load("plan", key)
        if job["status"] not in ENDED:
            self._store.save("plan_cancel", key, {"id": key, "at": now()})
        return self.read(key)

    # --- the thread -----------------------------------------------------------------------------------

    def _put(self, key: str) -> None:
        self._waiting.put(key)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (key := self._waiting.get()) is not None and not self._stop.is_set():
            try:
                self._work(key)
            except Exception as error:
                log.exception("plan %s", key)
                with contextlib.suppress(ParkError):
                    self._end(self._store.load("plan", key), "failed", f"the planner broke: {type(error).__name__}")

    def _work(self, key: str) -> None:
        job = self._store.load("plan", key)
        if self._is_cancelled(key):
            self._end(job, "cancelled", None)
            return
        job["progress"] |= {"phase": "measuring", "share": 0.0}
        job |= {"status": "running", "begun": job["begun"] + 1, "started_at": now(), "process": self._process()}
        self._store.save("plan", key, job)
        projects = [Project.model_validate(one) for one in job["asked"]["projects"]]
        scenario = Scenario.model_validate(job["asked"]["scenario"])
        began = time.monotonic()
        told = [began]

        def alive() -> None:
            if time.monotonic() - told[0] >= BEAT_S:
                told[0] = time.monotonic()
                job.update(progress={**job["progress"], "seconds": told[0] - began}, process=self._process())
                self._store.save("plan", key, job)

        def measured_so_far(done: int, of: int) -> None:
            if self._stop.is_set() or self._is_cancelled(key):
                raise _Ended
            if time.monotonic() - told[0] >= BEAT_S or done == of:
                told[0] = time.monotonic()
                progress = {**job["progress"], "phase": "choosing" if done == of else "measuring", "share": done / of}
                progress |= {"seconds": told[0] - began, "done": done, "of": of, "what": SEVERAL}
                job.update(progress=progress, process=self._process())
                self._store.save("plan", key, job)

        def watch(progress: Any) -> bool:
            if time.monotonic() - told[0] >= BEAT_S:
                told[0] = time.monotonic()
                numbers = {name: _finite(getattr(progress, name)) for name in ("seconds", "objective", "bound", "gap")}
                job.update(progress={"phase": "choosing", "share": None, **numbers}, process=self._process())
                self._store.save("plan", key, job)
                if self._is_cancelled(key):
                    return False
            return not self._stop.is_set()

        try:
            world = self._store.at()
            routes = None
            if self._networks is not None:
                self._networks.make_all(world, lambda way: alive())
                routes = self._networks.lookup(world, make=True)
            joint, measured = joint_plan(
                self._store,
                projects,
                scenario,
                self._book(),
                world,
                watch,
                zones=job["zones"],
                told=measured_so_far,
                routes=routes,
            )
        except _Ended:
            if not self._stop.is_set():
                self._end(job, "cancelled", None)
            return  # what a stop ended is taken up again when the service next starts
        except BadInput as error:
            self._end(job, "failed", error.message, [(str(one), line_of(fault_row(one), "zh")) for one in error.faults])
            return
        except ParkError as error:
            self._end(job, "failed", error.message)
            return
        if self._stop.is_set():
            return  # it is taken up again when the service next starts
        if self._is_cancelled(key):
            self._end(job, "cancelled", None)
            return
        found = dressed(joint, measured, world, scenario)
        if found["status"] == "failed":
            wrong = [(one["en"], one["zh"]) for one in found["violations"]]
            self._end({**job, **found}, "failed", "the plan does not verify", wrong)
        else:
            book = self._book()
            if found["rulebook_digest"] == book.digest:
                self._store.save("rulebook", book.digest, book_document(book))
            pinned = {"layer_versions": world.labels, "books": world.books}
            self._end({**job, **found, **pinned, "plan_digest": plan_digest({**found, **pinned})}, "done", None)

    def _end(
        self, job: dict[str, Any], status: str, reason: str | None, faults: Sequence[tuple[str, str]] = ()
    ) -> None:
        """The end of a job; each fault in English and in Chinese."""
        said: dict[str, Any] = {} if reason is None else both("reason", reason)
        if reason is not None:
            said |= {"errors": [en for en, _ in faults], "errors_zh": [zh for _, zh in faults]}
        self._store.save("plan", job["id"], {**job, **said, "status": status, "ended_at": now()})

    def _is_cancelled(self, key: str) -> bool:
        try:
            self._store.load("plan_cancel", key)
        except UnknownName:
            return False
        return True

    def _process(self) -> dict[str, Any]:
        return {"id": ME, "pid": os.getpid(), "at": time.time()}

    def _lives(self, job: dict[str, Any]) -> bool:
        process = job["process"]
        if process["id"] == ME:
            return True
        if process["pid"] == os.getpid() or time.time() - process["at"] > GONE_S:
            return False
        try:
            os.kill(process["pid"], 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True


def _finite(number: float) -> float | None:
    return float(number) if abs(number) < float("inf") else None


def require_done(plan: Mapping[str, Any]) -> None:
    """Stale where a plan has nothing to show yet, or never will."""
    status = plan.get("status")
    if status != "done":
        said = plan.get("id") or "without a number"
        raise Stale(f"plan {said} is {status}, not done", plan=plan.get("id"), plan_status=status)
