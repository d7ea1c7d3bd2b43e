"""Opinions of reviewers on a check: how a condition is closed, by whom, on which document. The verdict stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gis.rules import Rulebook
from layers.access import Access
from layers.errors import BadInput, Fault, Refused, UnknownName
from layers.store import Store

OPEN = ("fail", "unknown")
# what is open, as (severity, status) -> the words for it; findings of the severity `warn` are told and close nothing
KINDS: tuple[tuple[str, str, Callable[[Mapping[str, Any]], bool]], ...] = (
    ("禁止", "blocking", lambda one: one["severity"] == "block" and one["status"] == "fail"),
    ("条件", "conditional", lambda one: one["severity"] == "condition" and one["status"] == "fail"),
    ("数据不足", "undetermined", lambda one: one["severity"] != "warn" and one["status"] == "unknown"),
)


class Opinions:
    """The opinions of a county by check, read again when one was added."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: tuple[str, dict[str, list[dict[str, Any]]]] = ("", {})

    def of(self, check: str) -> list[dict[str, Any]]:
        """The opinions on a check, the oldest first."""
        stamp = self._store.stamp("opinion")
        if stamp != self._kept[0]:
            found: dict[str, list[dict[str, Any]]] = {}
            for one in self._store.list("opinion"):  # their ids sort by time
                found.setdefault(one["check"], []).append(one)
            self._kept = (stamp, found)
        return self._kept[1].get(check, [])

    def on(self, check: Mapping[str, Any]) -> dict[str, Any]:
        """A kept check with the opinions on it and what they leave open."""
        given = self.of(check["id"])
        return {**check, "opinions": given, "remains": remains(check["findings"], given)}


def remains(findings: Iterable[Mapping[str, Any]], opinions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is still open: failing and unknown findings that block or set a condition, unless the last opinion on the
    rule says satisfied or overridden.

    >>> found = [{"rule": "forest.land", "severity": "condition", "status": "fail"}]
    >>> remains(found, [])["zh"]
    '未办结：条件 1 项（forest.land）'
    >>> remains(found, [{"rule": "forest.land", "decision": "satisfied"}])["en"]
    'All closed by opinions (1); the verdict stays'
    """
    last = {one["rule"]: one["decision"] for one in opinions}
    closed = sorted(rule for rule, decision in last.items() if decision != "maintained")
    open_ = [one for one in findings if one["status"] in OPEN and one["rule"] not in closed]
    groups = [(zh, en, [one["rule"] for one in open_ if of(one)]) for zh, en, of in KINDS]
    named = [(zh, en, rules) for zh, en, rules in groups if rules]
    zh = "、".join(f"{zh} {len(rules)} 项（{'，'.join(rules)}）" for zh, _, rules in named)
    en = "; ".join(f"{len(rules)} {en} ({', '.join(rules)})" for _, en, rules in named)
    if named:
        words = {"zh": f"未办结：{zh}", "en": f"Open: {en}"}
    elif closed:
        words = {"zh": f"意见已全部办结（{len(closed)} 项），原结论不变"}
        words["en"] = f"All closed by opinions ({len(closed)}); the verdict stays"
    else:
        words = {"zh": "无待办事项", "en": "Nothing is open"}
    return {"open": [rule for _, _, rules in named for rule in rules], "closed": closed, **words}


def refuse(
    check: Mapping[str, Any], rule: str, decision: str, by: str, asked_by: str | None, books: Iterable[Rulebook]
) -> None:
    """Why an opinion may not be given: Refused where it is one's own check, BadInput where the rule does not allow it.

    `books` are the rulebook of the check and today's: what either calls unwaivable is.
    """
    if asked_by is None:
        raise Refused("nobody knows who asked for this check; check again")
    if asked_by == by:
        raise Refused("a second person gives an opinion; this check is your own")
    found = next((one for one in check["findings"] if one["rule"] == rule), None)
    if found is None or found["status"] not in OPEN:
        some = [one["rule"] for one in check["findings"] if one["status"] in OPEN]
        reason = f"{rule!r} is {'no finding' if found is None else found['status']} of this check"
        fix = f"Failing or unknown are: {', '.join(some) or 'none'}"
        raise BadInput("an opinion on what?", [Fault(reason, fix, field="rule")])
    if decision != "maintained" and any(one.id == rule and not one.waivable for book in books for one in book.rules):
        fix = "Move the site, or let the keeper of the layer correct its boundary and check again"
        reason = f"{rule} cannot be waived: no opinion closes it ({found['basis']})"
        raise BadInput("永久基本农田、生态保护红线不得以意见办结", [Fault(reason, fix, field="decision")])


def asker(store: Store, access: Access, check: str) -> str | None:
    """Who asked for a check: kept beside it, or, of older ones, in the audit log."""
    try:
        by = store.load("check_seen", check).get("by")
    except UnknownName:
        by = None
    if by is not None:
        return str(by)
    rows = access.audit(action="check", subject=check, limit=1)
    return str(rows[0]["actor"]) if rows else None
