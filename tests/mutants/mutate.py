"""Mutants of a source file: each differs from it by one small change.

A string is changed only if it has no blank, so that it is a name or a part of the protocol. Not
changed at all, since no behaviour that is stated depends on them: annotations, docstrings,
decorators, `__all__`, `__slots__`, imports for the type checker, log calls, texts of errors.
"""

from __future__ import annotations

import ast
import copy
import difflib
import itertools
import random
from dataclasses import dataclass

_BOUNDARIES = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_NEGATIONS = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_FUNCTIONS = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "ceil": "floor",
    "floor": "ceil",
}
_METHODS = {"pop": "get", "setdefault": "get", "popleft": "pop", "append": "appendleft"}
_NUMERIC = {"abs", "ceil", "float", "floor", "int", "round"}
_TERMS = ast.Add | ast.Sub | ast.BitOr | ast.BitAnd
_WIDER = {"Exception": "BaseException", "BaseException": "Exception"}
_NEEDS_BRACKETS = (
    ast.BinOp,
    ast.BoolOp,
    ast.Compare,
    ast.IfExp,
    ast.Lambda,
    ast.NamedExpr,
    ast.UnaryOp,
)
_NEGATED_BY_PARTS = (ast.BoolOp, ast.Compare, ast.UnaryOp, ast.Constant)
_SKIPPED_FIELDS = {"annotation", "returns", "decorator_list", "bases", "type_params", "ctx", "op"}


@dataclass(frozen=True)
class Mutant:
    """A source file with one change.

    Attributes:
        path: the file, relative to the root of the repository.
        original: its source.
        line: the first line of the change.
        start, end: the changed part, as offsets in the UTF-8 bytes of the source.
        replacement: the new text of that part.
    """

    path: str
    original: str
    line: int
    start: int
    end: int
    replacement: str

    @property
    def source(self):
        data = self.original.encode()
        return (data[: self.start] + self.replacement.encode() + data[self.end :]).decode()

    def is_changed(self):
        """Return whether this is valid Python, and differs in more than how it is written."""
        try:
            return ast.dump(ast.parse(self.source)) != ast.dump(ast.parse(self.original))
        except (SyntaxError, ValueError):
            return False

    def diff(self):
        lines = [text.splitlines(keepends=True) for text in (self.original, self.source)]
        return "".join(difflib.unified_diff(*lines, f"a/{self.path}", f"b/{self.path}", n=2))


def mutants(path, source, enums=()):
    """Return the mutants of a source, each once. A few are not valid Python, or change nothing.

    Args:
        path: the file, for the mutants.
        source: its text.
        enums: the enumerations that it may use; see `enumerations`.
    """
    offsets = [0]
    for line in source.encode().splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    found = {}
    for target, text in _Changes(dict(enums)).below(ast.parse(source)):
        start = offsets[target.lineno - 1] + target.col_offset
        end = offsets[target.end_lineno - 1] + target.end_col_offset
        found[start, end, text] = Mutant(path, source, target.lineno, start, end, text)
    return list(found.values())


def sample(sources, number, seed):
    """Return a random sample of the mutants of some sources, in random order.

    Args:
        sources: the text of each file, by path.
        number: the size of the sample.
        seed: chooses it.
    """
    enums = enumerations(sources.values())
    found = [mutant for path in sorted(sources) for mutant in mutants(path, sources[path], enums)]
    random.Random(seed).shuffle(found)
    return list(itertools.islice((mutant for mutant in found if mutant.is_changed()), number))


def enumerations(sources):
    """Return the names of the enumerations in some sources, each with the names of its members."""
    return {
        node.name: [s.targets[0].id for s in node.body if isinstance(s, ast.Assign)]
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(b) for b in node.bases)
    }


class _Changes:
    """The changes of the nodes below a node: pairs of a node and the text that replaces it.

    Args:
        enums: the members of the enumerations, by name.
    """

    def __init__(self, enums):
        self._enums = enums

    def below(self, node):
        for child in _children(node):
            if isinstance(child, ast.JoinedStr):
                yield from self._in_f_string(child)
            else:
                if not _is_unpacked(child, node):
                    yield from self._of(child)
                yield from self.below(child)

    def _of(self, node):
        """Yield the changes of one node."""
        change = getattr(self, f"_{type(node).__name__.lower()}", None)
        for target, changed in change(node) if change else ():
            yield target, _text(changed)
        for test in (getattr(node, "test", None), *getattr(node, "ifs", ())):
            is_plain = test is not None and not isinstance(test, _NEGATED_BY_PARTS)
            if is_plain and not _is_for_types(node):
                yield test, f"(not {_text(test)})"

    def _in_f_string(self, whole):
        """Yield the f-string with each change in it: Python 3.11 has no places of its parts."""
        if any(isinstance(part, ast.Constant) and " " in part.value for part in whole.values):
            return  # a text for people
        for place, part in enumerate(ast.walk(whole)):
            for target, text in self._of(part) if part is not whole else ():
                if target is part:
                    copied = copy.deepcopy(whole)
                    _become(list(ast.walk(copied))[place], ast.parse(text, mode="eval").body)
                    yield whole, ast.unparse(copied)

    def _compare(self, node):
        """Yield each comparison negated, and with the other boundary, except of two clock times."""
        clocks = [n for n in ast.walk(node) if isinstance(n, ast.Call) and _is_clock(n)]
        for place, op in enumerate(node.ops):
            for operators in (_NEGATIONS,) if clocks else (_BOUNDARIES, _NEGATIONS):
                if type(op) in operators:
                    ops = [*node.ops[:place], operators[type(op)](), *node.ops[place + 1 :]]
                    yield node, _with(node, ops=ops)

    def _binop(self, node):
        if type(node.op) in _OPERATORS:
            yield node, _with(node, op=_OPERATORS[type(node.op)]())
        if isinstance(node.op, _TERMS):
            yield node, node.left
        if isinstance(node.op, ast.BitOr | ast.BitAnd):
            yield node, node.right

    def _boolop(self, node):
        yield node, _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
        for values in _without_one(node.values):
            yield node, _with(node, values=values) if len(values) > 1 else values[0]

    def _unaryop(self, node):
        yield node, node.operand

    def _constant(self, node):
        match node.value:
            case bool(value):
                yield node, repr(not value)
            case int() | float() as value:
                for changed in (value + 1, value - 1):
                    yield node, f"{changed!r}" if changed >= 0 else f"({changed!r})"
            case str() | bytes() as value if (" " if isinstance(value, str) else b" ") not in value:
                yield node, repr(("XX" if isinstance(value, str) else b"XX") + value)

    def _tuple(self, node):
        if isinstance(node.ctx, ast.Load):
            for elements in _without_one(node.elts):
                yield node, _with(node, elts=elements)

    def _list(self, node):
        yield from self._tuple(node)

    def _set(self, node):
        if len(node.elts) > 1:
            for elements in _without_one(node.elts):
                yield node, _with(node, elts=elements)

    def _attribute(self, node):
        """Yield the next member of the enumeration."""
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=member) if name in self._enums:
                members = self._enums[name]
                if member in members:
                    following = members[(members.index(member) + 1) % len(members)]
                    yield node, f"{name}.{following}"

    def _call(self, node):
        match node.func:
            case ast.Name(id=name) if name in _FUNCTIONS:
                yield node.func, _FUNCTIONS[name]
                yield from ((node, bound) for bound in node.args if len(node.args) > 1)
            case ast.Name(id=name) | ast.Attribute(attr=name) if name == "suppress":
                yield node, f"{ast.unparse(node.func)}()"
            case ast.Attribute(attr="pop", value=of) if len(node.args) == 1:
                yield node, f"{ast.unparse(of)}[{ast.unparse(node.args[0])}]"
            case ast.Attribute(attr=name) if name in _METHODS and (node.args or name == "popleft"):
                yield node, _with(node, func=_with(node.func, attr=_METHODS[name]))
        if isinstance(node.func, ast.Name) and node.func.id in _NUMERIC and len(node.args) == 1:
            yield node, node.args[0]

    def _excepthandler(self, node):
        if isinstance(node.type, ast.Name | ast.Attribute):
            yield node.type, "()"
            yield node.type, _WIDER.get(ast.unparse(node.type), "Exception")

    def _return(self, node):
        if node.value is not None and not _is_bool(node.value):
            yield node.value, "None"

    def _expr(self, node):
        if isinstance(node.value, ast.Call | ast.YieldFrom):
            yield node, "pass"

    def _assign(self, node):
        """Yield the assignment left out, if it is not that of a name, which would be missing."""
        if not any(isinstance(part, ast.Name | ast.Tuple) for part in node.targets):
            yield node, "pass"

    def _augassign(self, node):
        yield node, "pass"
        if type(node.op) in _OPERATORS:
            yield node, _with(node, op=_OPERATORS[type(node.op)]())

    def _delete(self, node):
        yield node, "pass"

    def _raise(self, node):
        yield node, "pass"

    def _break(self, node):
        yield node, "continue"

    def _continue(self, node):
        yield node, "break"


def _children(node):
    """Yield the children of a node that can be changed."""
    for name, value in ast.iter_fields(node):
        if name not in _SKIPPED_FIELDS and not (name == "body" and _is_for_types(node)):
            children = value if isinstance(value, list) else [value]
            yield from (c for c in children if isinstance(c, ast.AST) and not _is_skipped(c, node))


def _is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _is_skipped(node, parent):
    match node:
        case (
            ast.Expr(value=ast.Constant())  # docstrings, also of attributes
            | ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "warnings"))))
            | ast.Assign(targets=[ast.Name(id="__slots__" | "__all__")])
            | ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar")))
            | ast.AnnAssign(annotation=ast.Name(id="TypeAlias"))
            | ast.ClassDef(bases=[ast.Name(id="Enum")])  # its values are compared by identity
            | ast.keyword(arg="strict" | "name" | "description")
            | ast.Import()
            | ast.ImportFrom()
        ):
            return True
    is_cast = isinstance(parent, ast.Call) and ast.unparse(parent.func) == "cast"
    return is_cast and node is parent.args[0]


def _is_unpacked(node, parent):
    """Return whether a tuple is assigned to names of the same number: all tests would fail."""
    targets = getattr(parent, "targets", ())
    return isinstance(node, ast.Tuple) and any(isinstance(t, ast.Tuple) for t in targets)


def _is_clock(call):
    return ast.unparse(call.func).endswith(("monotonic", "elapsed"))


def _is_bool(node):
    """Return whether this is True or False, each of which is changed to the other anyway."""
    return isinstance(node, ast.Constant) and isinstance(node.value, bool)


def _without_one(elements):
    for place in range(len(elements)):
        yield [*elements[:place], *elements[place + 1 :]]


def _text(changed):
    """Return the source of a changed node, in brackets if it needs them in any place."""
    text = changed if isinstance(changed, str) else ast.unparse(changed)
    return f"({text})" if isinstance(changed, _NEEDS_BRACKETS) else text


def _with(node, **fields):
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _become(target, changed):
    """Turn a node of a copied tree into another node, in place."""
    target.__class__ = type(changed)
    target.__dict__.clear()
    target.__dict__.update(changed.__dict__)
