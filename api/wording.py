"""What a refusal says, in Chinese: one catalogue of sentences, keyed by the English ones as the code says them.

A key has `{}` for each value; the Chinese sentence takes them in order, or by number where Chinese wants another order.
The code keeps saying one plain English sentence where something goes wrong; nobody passes languages about.
`tests/api/test_wording.py` walks every place that refuses and fails where a sentence has no Chinese.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from layers.errors import Fault

CATALOGUE = Path(__file__).parent / "locale" / "refusals.zh-CN.json"
LONGEST = 20_000  # characters; what is longer is a list of somebody's own names
PLACE = re.compile(r"-?\d+\.\d+")
SAYS = 8  # characters of its own that a sentence needs to be known within another
DEEPEST = 3  # a sentence within a sentence within a sentence


@dataclass(frozen=True)
class _Pattern:
    """A sentence with holes: its literal pieces, and what is said instead."""

    pieces: tuple[str, ...]
    zh: str

    def values(self, text: str) -> list[str] | None:
        """What stands in the holes; None where it is another sentence. One pass, whatever the text."""
        first, *between = self.pieces
        last = between.pop()
        if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
            return None
        at, end = len(first), len(text) - len(last)
        found = []
        for piece in between:
            there = text.find(piece, at, end) if piece else at
            if there < 0:
                return None
            found.append(text[at:there])
            at = there + len(piece)
        return [*found, text[at:end]]


@lru_cache(maxsize=1)
def catalogue() -> dict[str, dict[str, str]]:
    """`sentences` and the `words` in their holes, English -> Chinese; `fields` by pydantic's kind of fault."""
    told: dict[str, dict[str, str]] = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return told


@lru_cache(maxsize=1)
def _patterns() -> list[_Pattern]:
    told = catalogue()["sentences"]
    made = [_Pattern(tuple(en.split("{}")), said) for en, said in told.items() if "{}" in en]
    return sorted(made, key=lambda one: -sum(map(len, one.pieces)))  # the one that says most is meant


def zh(sentence: str) -> str | None:
    """The Chinese of a sentence as it was said, values and all; None where the catalogue has none."""
    return _zh(sentence, 0) if len(sentence) <= LONGEST else None


def _zh(sentence: str, depth: int) -> str | None:
    plain = catalogue()["sentences"]
    if sentence in plain:
        return plain[sentence]
    if "; " in sentence and depth < DEEPEST:
        parts = [_zh(one, DEEPEST) for one in sentence.split("; ")]
        if all(parts):
            return "；".join(str(one) for one in parts)
    for pattern in _patterns():
        if depth and sum(map(len, pattern.pieces)) < SAYS:
            break  # what stands in a hole is somebody's name sooner than "no {}"
        if (values := pattern.values(sentence)) is not None:
            return pattern.zh.format(*(_value(one, depth + 1) for one in values))
    return None


def _value(text: str, depth: int) -> str:
    """What stands in a hole: a known word, a list of words, a sentence of its own, or a name that stays as it is."""
    words = catalogue()["words"]
    if text.endswith("]"):  # what GEOS finds wrong with a boundary, and where
        from layers.quality.within import REASONS  # with all that measures: seldom needed by the command line

        head, _, place = text.removesuffix("]").partition("[")
        return f"{REASONS.get(head, head)}，{PLACE.sub(_rounded, place)}"
    if text in words:
        return words[text]
    if depth < DEEPEST and " " in text and (said := _zh(text, depth)) is not None:
        return said
    return "、".join(words.get(one, one) for one in text.split(", ")) if ", " in text else text


def _rounded(number: re.Match[str]) -> str:
    """A coordinate to the centimetre, or to the seventh digit of a degree."""
    return f"{float(number[0]):.{7 if abs(float(number[0])) <= 180 else 2}f}"


def both(name: str, sentence: str) -> dict[str, str]:
    """A sentence under its name, and its Chinese under `<name>_zh`; a foreign library's words stand for themselves."""
    return {name: sentence, f"{name}_zh": zh(sentence) or sentence}


def fault_row(fault: Fault) -> dict[str, Any]:
    """A fault as an answer holds it: where, what and what to do, in both languages."""
    said = {name: value for name, value in asdict(fault).items() if value is not None}
    return {**said, **both("reason", fault.reason), **both("fix", fault.fix)}


NAMED = {
    "zh": ((("", "file"), ("图层 ", "layer"), ("要素 ", "feature"), ("字段 ", "field")), "，", "：", "。"),
    "en": ((("", "file"), ("layer ", "layer"), ("feature ", "feature"), ("field ", "field")), ", ", ": ", ". "),
}


def line_of(one: dict[str, Any], language: str) -> str:
    """A fault, told as in an answer, in one line of a terminal or a job: where, what, what to do."""
    labels, comma, colon, stop = NAMED[language]
    where = comma.join(f"{label}{one[name]}" for label, name in labels if one.get(name))
    end = "_zh" if language == "zh" else ""
    said = f"{one[f'reason{end}']}{stop}{one[f'fix{end}']}"
    return f"{where}{colon}{said}" if where else said


# --- what pydantic says of a field ------------------------------------------------------------------------


def field_zh(kind: str, context: Mapping[str, Any], message: str) -> str:
    """The Chinese of what is wrong with a field of a body, by the kind of fault that pydantic names."""
    if kind == "value_error":  # a sentence of our own, said by a validator
        own = message.removeprefix("Value error, ")
        return zh(own) or own
    pattern = catalogue()["fields"].get(kind)
    if pattern is None:
        return zh(message) or message
    values = {name: "、".join(map(str, one)) if isinstance(one, list | tuple) else one for name, one in context.items()}
    if "expected" in values:
        values["expected"] = str(values["expected"]).replace(" or ", " 或 ")
    try:
        return pattern.format(**values)
    except (KeyError, IndexError):
        return message


def told_of(fault: Mapping[str, Any]) -> dict[str, Any]:
    """A fault that pydantic found, as `fault_row` has ours."""
    said = {"reason": fault["msg"], "reason_zh": field_zh(fault["type"], fault.get("ctx") or {}, fault["msg"])}
    return {"field": ".".join(map(str, fault["loc"])), **said, **both("fix", "Correct the field")}


def pointer(steps: Sequence[int | str]) -> str:
    """RFC 6901: where in the body a field stands."""
    return "#" + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
