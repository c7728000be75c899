"""Mutants of a module: its source with one small change each, and a name for each change."""

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
    """Yield pairs of a name, such as `line 31: a + b → a - b`, and the changed source."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    silent = _docstrings(nodes) | _types(nodes) | _decorators(nodes)
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
    """Return the nodes in brackets, as in `dict[str, Any]`."""
    return {node.slice for node in nodes if isinstance(node, ast.Subscript)}


def _decorators(nodes):
    """Return the nodes of decorators: no test states the size of a cache."""
    return {
        part
        for node in nodes
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        for part in ast.walk(decorator)
    }


def _changes(node):
    """Return the nodes that a node can become, with one change each."""
    change = _CHANGES.get(type(node))
    return () if change is None else change(node)


def _compared(node):
    """Yield a change for each comparison of a chain such as `1 <= n <= most`."""
    for place, op in enumerate(node.ops):
        for operators in (_COMPARED, _REVERSED):
            if type(op) in operators:
                changed = [*node.ops]
                changed[place] = operators[type(op)]()
                yield _with(node, ops=changed)


def _computed(node):
    if type(node.op) in _COMPUTED:
        yield _with(node, op=_COMPUTED[type(node.op)]())


def _constant(node):
    match node.value:
        case bool(value):
            yield _with(node, value=not value)
        case int() | float() as value:
            yield _with(node, value=value + 1)


def _called(node):
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in _CALLED:
            yield _with(node, func=ast.Name(_CALLED[name], ast.Load()))
        case ast.Call(func=ast.Name(id="promotion_delay"), args=[delay]):
            yield delay


def _left_out(node):
    """Yield the tuple without each of its elements, such as the expected values of a transition."""
    if isinstance(node.ctx, ast.Load):
        for left_out in range(len(node.elts)):
            yield _with(node, elts=[e for i, e in enumerate(node.elts) if i != left_out])


def _act(node):
    match node:
        case ast.Attribute(value=ast.Name(id="Act"), attr=act) if act != "LEAVE":
            yield _with(node, attr="LEAVE")


def _negated(node):
    if isinstance(node.op, ast.Not):
        yield node.operand


_CHANGES = {
    ast.Compare: _compared,
    ast.BinOp: _computed,
    ast.Constant: _constant,
    ast.Call: _called,
    ast.Tuple: _left_out,
    ast.Attribute: _act,
    ast.UnaryOp: _negated,
    ast.IfExp: lambda node: [_with(node, body=node.orelse, orelse=node.body)],
    ast.BoolOp: lambda node: [
        _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
    ],
}


def _with(node, **fields):
    changed = copy.deepcopy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _become(target, changed):
    """Turn a node of the copied tree into another node, in place."""
    target.__class__ = type(changed)
    target.__dict__.clear()
    target.__dict__.update(copy.deepcopy(changed).__dict__)
