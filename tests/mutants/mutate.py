"""Mutants of a module: its source with one small thing changed, each with a name."""

from __future__ import annotations

import ast
import copy

_COMPARED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_REVERSED = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
_COMPUTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Pow: ast.Mult,
}
_CALLED = {"min": "max", "max": "min", "ceil": "int"}


def mutants(source):
    """Pairs of a name, such as `line 31: a + b → a - b`, and the changed source."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    silent = _docstrings(nodes) | _types(nodes)
    for place, node in enumerate(nodes):
        if node in silent:
            continue
        for changed in _changes(node):
            mutant = copy.deepcopy(tree)
            target = list(ast.walk(mutant))[place]
            _become(target, changed)
            name = f"line {node.lineno}: {ast.unparse(node)} → {ast.unparse(changed)}"
            yield name, ast.unparse(ast.fix_missing_locations(mutant))


def _docstrings(nodes):
    return {
        statement.value
        for node in nodes
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }


def _types(nodes):
    """What stands in brackets: `dict[str, Any]`."""
    return {node.slice for node in nodes if isinstance(node, ast.Subscript)}


def _changes(node):  # noqa: C901, PLR0912  # one table
    match node:
        case ast.Compare(ops=[op]):
            for operators in (_COMPARED, _REVERSED):
                if type(op) in operators:
                    yield _with(node, ops=[operators[type(op)]()])
        case ast.BinOp(op=op) if type(op) in _COMPUTED and not _is_union(node):
            yield _with(node, op=_COMPUTED[type(op)]())
        case ast.Constant(value=bool(value)):
            yield _with(node, value=not value)
        case ast.Constant(value=int() | float() as value):
            yield _with(node, value=value + 1)
        case ast.IfExp(body=body, orelse=orelse):
            yield _with(node, body=orelse, orelse=body)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.BoolOp(op=op):
            yield _with(node, op=ast.And() if isinstance(op, ast.Or) else ast.Or())
        case ast.Call(func=ast.Name(id=name)) if name in _CALLED:
            yield _with(node, func=ast.Name(_CALLED[name], ast.Load()))
        case ast.Call(func=ast.Name(id="with_margin"), args=[delay]):
            yield delay
        case ast.Tuple(elts=[_, *_], ctx=ast.Load()):  # values that a change expects
            for left_out in range(len(node.elts)):
                yield _with(node, elts=[e for i, e in enumerate(node.elts) if i != left_out])
        case ast.Attribute(value=ast.Name(id="Act"), attr=act) if act != "LEAVE":
            yield _with(node, attr="LEAVE")


def _is_union(node):
    return isinstance(node.op, ast.BitOr)


def _with(node, **fields):
    changed = copy.deepcopy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _become(target, changed):
    """Has a node of the copied tree be another, in its place."""
    target.__class__ = type(changed)
    target.__dict__.clear()
    target.__dict__.update(copy.deepcopy(changed).__dict__)
