"""Every sentence that a refusal may say, found in the code itself: `tests/api/test_wording.py` wants each in Chinese.

The walk follows an argument to what it was: a constant, an f-string (each hole becomes `{}`), both branches of a
condition, the assignments of a local name, what a function of ours returns, and what callers hand over as a parameter.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from layers import errors

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("layers", "gis", "api", "scripts")
APART = ("scripts/bench", "scripts/county", "scripts/real")  # what is measured and built here, said to developers alone

KINDS = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.ParkError)]
# the name called: (position, keyword) of each argument that is a sentence
SPOKEN: dict[str, list[tuple[int, str]]] = {
    **{name: [(0, "message")] for name in KINDS},
    "Fault": [(0, "reason"), (1, "fix")],
    "HTTPException": [(1, "detail")],
    "problem": [(1, "detail")],
    "ValueError": [(0, "")],
    "Wrong": [(0, "")],  # a cell of a project library
    "kind": [(0, "")],  # one of two kinds of error, chosen by a condition
    "replace": [(99, "reason"), (99, "fix")],
    "both": [(1, "sentence")],
    "_end": [(2, "reason")],
    "_say_and_exit": [(0, "message")],
}


@dataclass(frozen=True)
class Sentence:
    """A sentence with `{}` for each hole, and where it is said."""

    text: str
    place: str


@dataclass
class _Module:
    path: str
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node

    @property
    def imports(self) -> set[str]:
        """The packages that stand in the module's own imports."""
        return {one.module for one in self.tree.body if isinstance(one, ast.ImportFrom) and one.module}

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """The functions around a node, the nearest first, and the module."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)):
                yield node


class Walk:
    """The code of the four floors, once."""

    def __init__(self) -> None:
        self.modules = [
            _Module(str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8")))
            for floor in FLOORS
            for path in sorted((ROOT / floor).rglob("*.py"))
            if not str(path.relative_to(ROOT)).startswith(APART)
        ]
        self.calls: dict[str, list[tuple[_Module, ast.Call]]] = defaultdict(list)
        self.functions: dict[str, list[tuple[_Module, ast.FunctionDef | ast.AsyncFunctionDef]]] = defaultdict(list)
        for module in self.modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call):
                    chosen = node.func
                    either = (chosen.body, chosen.orelse) if isinstance(chosen, ast.IfExp) else (chosen,)
                    for one in either:
                        self.calls[_name(one)].append((module, node))
                elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    self.functions[node.name].append((module, node))
        self._seen: set[tuple[str, int]] = set()
        self._told: set[Sentence] = set()  # handed over by callers

    def said(self) -> set[Sentence]:
        """All sentences; one that is wholly a hole (a foreign library's words) is left out."""
        found: set[Sentence] = set()
        for name, spots in SPOKEN.items():
            for position, keyword in spots:
                found |= self._of_calls(name, position, keyword)
        found |= self._told | self._paired()
        return {one for one in found if " " in one.text.strip() and re.search(r"[a-z]", one.text)}

    def _paired(self) -> set[Sentence]:
        """What is wrong and what to do in one text, `reason|Fix`, taken apart where it is said."""
        return {
            Sentence(half, f"{module.path}:{node.lineno}")
            for module in self.modules
            for node in ast.walk(module.tree)
            if isinstance(node, (ast.Constant, ast.JoinedStr))
            and not isinstance(module.parents.get(node), ast.JoinedStr)
            for text in self._plain(module, node, 0)
            if re.search(r"[a-z})]\|[A-Z][a-z]+ ", text)
            for half in text.split("|")
        }

    def _of_calls(self, name: str, position: int, keyword: str) -> set[Sentence]:
        if (name, position) in self._seen:
            return set()
        self._seen.add((name, position))
        found: set[Sentence] = set()
        for module, call in self.calls[name]:
            if name == "ValueError" and "pydantic" not in module.imports:
                continue
            found |= self._of_call(module, call, position, keyword)
        return found

    def _of_call(self, module: _Module, call: ast.Call, position: int, keyword: str) -> set[Sentence]:
        for one in call.keywords:
            if one.arg == keyword:
                return self._texts(module, one.value)
        given = call.args[: position + 1]
        if len(given) <= position or any(isinstance(one, ast.Starred) for one in given):
            starred = [one.value for one in given if isinstance(one, ast.Starred)]
            return {text for one in starred for text in self._texts(module, one)}
        return self._texts(module, given[position])

    def _texts(self, module: _Module, node: ast.AST, depth: int = 0) -> set[Sentence]:
        place = f"{module.path}:{getattr(node, 'lineno', 0)}"
        return {Sentence(text, place) for text in self._plain(module, node, depth)}

    def _plain(self, module: _Module, node: ast.AST, depth: int) -> set[str]:
        if depth > 6:
            return {"{}"}
        deeper = depth + 1
        match node:
            case ast.Constant(value=str() as text):
                return {text.replace("{", "").replace("}", "")}
            case ast.JoinedStr(values=values):
                texts = {""}
                for one in values:
                    part = {"{}"} if isinstance(one, ast.FormattedValue) else self._plain(module, one, deeper)
                    texts = {before + after for before in texts for after in part}
                return texts
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return {a + b for a in self._plain(module, left, deeper) for b in self._plain(module, right, deeper)}
            case ast.IfExp(body=body, orelse=orelse):
                return self._plain(module, body, deeper) | self._plain(module, orelse, deeper)
            case ast.BoolOp(values=values):
                return {text for one in values for text in self._plain(module, one, deeper)}
            case ast.Name(id=name):
                return self._of_name(module, node, name, deeper)
            case ast.Tuple(elts=elts) | ast.List(elts=elts) | ast.Set(elts=elts):
                return {text for one in elts for text in self._plain(module, one, deeper)}
            case ast.Dict(values=values):
                return {text for one in values for text in self._plain(module, one, deeper)}
            case ast.Subscript(value=value):
                return self._plain(module, value, deeper)
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return self._plain(module, value, deeper)
            case ast.Call(func=func):
                return self._returned(module, func, deeper)
            case ast.Attribute(attr=name) if any(_is_property(one) for _, one in self.functions.get(name, [])):
                return self._returned(module, node, deeper)
            case _:
                return {"{}"}

    def _of_name(self, module: _Module, node: ast.AST, name: str, depth: int) -> set[str]:
        for scope in module.around(node):
            found: set[str] = set()
            for one in ast.walk(scope):
                for target, value in self._bindings(one):
                    if isinstance(target, ast.Name) and target.id == name:
                        found |= self._plain(module, value, depth)
                    elif isinstance(target, (ast.Tuple, ast.List)):
                        for index, each in enumerate(target.elts):
                            if isinstance(each, ast.Name) and each.id == name:
                                for part in _parts(value, index):
                                    found |= self._plain(module, part, depth)
            if found:
                return found
            if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
                arguments = [one.arg for one in (*scope.args.posonlyargs, *scope.args.args)]
                keywords = [one.arg for one in scope.args.kwonlyargs]
                if name in arguments or name in keywords:
                    is_method = arguments[:1] in (["self"], ["cls"])
                    spot = arguments.index(name) - is_method if name in arguments else 999
                    called = scope.name if scope.name != "__init__" else _class_of(module, scope)
                    for each in self._of_calls(called, spot, name):
                        self._told.add(each)
                    return set()
        return {"{}"}

    def _bindings(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield target, value
            case ast.AnnAssign(target=target, value=value) if value is not None:
                yield target, value
            case ast.NamedExpr(target=target, value=value):
                yield target, value
            case ast.For(target=target, iter=over) | ast.comprehension(target=target, iter=over):
                for one in self._elements(over):
                    yield target, one

    def _elements(self, over: ast.AST) -> Iterator[ast.AST]:
        """What a loop goes over: the members of a list, or what a function of ours yields."""
        match over:
            case ast.Tuple(elts=elts) | ast.List(elts=elts):
                for one in elts:
                    yield from self._elements(one.value) if isinstance(one, ast.Starred) else (one,)
            case ast.Call(func=func):
                for _, function in self.functions.get(_name(func), []):
                    for one in ast.walk(function):
                        if isinstance(one, ast.Yield) and one.value is not None:
                            yield one.value

    def _returned(self, module: _Module, func: ast.AST, depth: int) -> set[str]:
        name = _name(func)
        if name in ("str", "repr", "scrub"):
            return {"{}"}
        if name in ("join", "split", "format", "replace", "rstrip", "strip", "get"):
            return {"{}"}
        found: set[str] = set()
        for there, function in self.functions.get(name, []):
            if there is not module and isinstance(func, ast.Name) and len(self.functions[name]) > 1:
                continue
            for one in ast.walk(function):
                if isinstance(one, (ast.Return, ast.Yield)) and one.value is not None:
                    if isinstance(one.value, ast.Constant) and one.value.value is None:
                        continue
                    found |= self._plain(there, one.value, depth)
        return found or {"{}"}


def _name(func: ast.AST) -> str:
    if isinstance(func, ast.Attribute):
        return func.attr
    if isinstance(func, ast.Name):
        return func.id
    return ""


def _class_of(module: _Module, function: ast.AST) -> str:
    above = module.parents.get(function)
    return above.name if isinstance(above, ast.ClassDef) else ""


def _is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(_name(one) == "property" for one in function.decorator_list)


def _parts(value: ast.AST, index: int) -> Iterator[ast.AST]:
    if isinstance(value, (ast.Tuple, ast.List)) and index < len(value.elts):
        yield value.elts[index]
    elif isinstance(value, ast.IfExp):
        yield from _parts(value.body, index)
        yield from _parts(value.orelse, index)
