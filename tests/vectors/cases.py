"""The cases of keys.json without their keys, which `python -m tests.vectors.make` adds.

Args, and the value that a policy's code has chosen, are JSON text: half of the cases are about the
spelling of a number.
"""

from __future__ import annotations

import json
import math
import random
import struct
from itertools import count

from tests.vectors import tables


def cases():
    """Yield all cases, each a dict with a unique name."""
    yield from _numbers()
    yield from _texts()
    yield from _nested()
    yield from _policies()
    yield from _selections()
    yield from _own_words()
    yield from _drawn(random.Random(8785), 60)
    yield from _refused()


def _case(name, args="[]", jobtype="Email", **more):
    return {"name": name, "jobtype": jobtype, "args": args, **more}


def _numbers():
    for ieee in tables.IEEE_754:
        yield _case(f"number/{ieee}", f"[{_double(ieee)!r}]")
    for spellings in tables.SPELLINGS:
        for text in spellings:
            yield _case(f"number/written {text}", f"[{text}]")
    yield _case("number/the largest integers", "[9007199254740991, -9007199254740991]")
    yield _case("number/they beside a fraction", "[9007199254740991, 0.5, -9007199254740991]")
    for text in ("1.7976931348623157e308", "1.7976931348623158e308", "0e400", "-0e999", "0.0e999"):
        yield _case(f"number/at the edges {text}", f"[{text}]")
    yield _case("number/true is not 1", "[true]")
    yield _case("number/nor is text", '["1"]')


def _texts():
    for name, text in tables.TEXTS.items():
        for way, ascii_only in (("raw", False), ("escaped", True)):
            if ascii_only is False or not text.isascii():
                yield _case(f"text/{name}, {way}", json.dumps([text], ensure_ascii=ascii_only))
    yield _case("text/escapes that need not be", '["\\u0041\\/\\u005C\\u0022\\u000A"]')
    for name, keys in tables.KEYS.items():
        for order, names in (("", keys), (", backwards", keys[::-1])):
            value = {key: n for n, key in zip(count(), names)}
            yield _case(f"keys/{name}{order}", json.dumps([value], ensure_ascii=False))
        yield _case(f"keys/{name}, escaped", json.dumps([value]))


def _nested():
    for name, args in tables.NESTED.items():
        yield _case(f"nested/{name}", json.dumps(args))
    yield _case("nested/spaces and orders", '[ 42 ,\n{"tags":["a",15e-1],"user_id" :7.0}\t]')
    yield _case("nested/200 levels", "[" * 200 + "]" * 200)
    yield _case("nested/200 levels and a number", "[" * 200 + "1" + "]" * 200)
    yield _case("nested/200 levels of objects", '[{"a":' * 99 + "[[]]" + "}]" * 99)


def _policies():
    for name in tables.NAMES:
        yield _case(f"jobtype/{name}", "[1]", name)
        yield _case(f"scope/{name}", "[1]", "Other", policy={"scope": name})
    for queue in ("", "default", "critical", "a.b-c_D9"):
        yield _case(f"queue/{queue}", "[1]", queue=queue, policy={"per_queue": True})
        yield _case(f"queue/{queue}, which does not count", "[1]", queue=queue)
    yield _case("queue/expressly not", "[1]", queue="low", policy={"per_queue": False})


def _selections():
    for by in tables.SELECTIONS:
        yield _case(f"by/{json.dumps(by)}", tables.ARGS, policy={"by": by})
    yield _case("by/a far position", json.dumps(list(range(200))), policy={"by": [120, "199"]})
    for chosen in tables.CHOSEN:
        yield _case(f"key/{chosen}", tables.ARGS, policy={"key": chosen})
    for args in ('[{"01": 1, "1": 2}]', '[{"1": 2, "01": 1}]'):
        yield _case(f"by/a name that looks like a position {args}", args, policy={"by": ["0.1"]})
    for form in ("\u00e9", "e\u0301"):
        args = json.dumps([{"\u00e9": 1, "e\u0301": 2}])
        yield _case(f"by/{form!a} is not normalized", args, policy={"by": [f"0.{form}"]})
    yield _case("by/two digits inside", "[[0,1,2,3,4,5,6,7,8,9,10]]", policy={"by": ["0.10"]})
    yield _case("by/null is a value", '[{"x": null}]', policy={"by": ["0.x"]})
    for step in ("Gr\u00fc\u00dfe", "\U0001f600", "with space", "%", "__proto__", "length"):
        args = json.dumps([{step: [step, 1]}], ensure_ascii=False)
        yield _case(f"by/key {step}", args, policy={"by": [f"0.{step}", f"0.{step}.1"]})
    deep = "[" * 200 + "]" * 200
    yield _case("key/200 levels", tables.ARGS, policy={"key": deep})
    escaped = {"scope": "a%{", "per_queue": True}
    yield _case("all/an escaped scope and queue", "[1]", queue="low", policy=escaped)
    whole = tables.WHOLE
    yield _case("all/by, scope and queue", tables.ARGS, queue="low", policy=whole)
    chosen = {"key": "[7]", "scope": "mail", "per_queue": True}
    yield _case("all/key, scope and queue", tables.ARGS, queue="low", policy=chosen)


def _own_words():
    whole = tables.WHOLE
    for custom in ({"unique_for": 600}, {"unique_for": 0.5e3, "unique_until": "start"}):
        yield _case(f"own words/{json.dumps(custom)}", tables.ARGS, queue="low", custom=custom)
        yield _case(
            f"own words/{json.dumps(custom)}, whatever its policy",
            *(tables.ARGS, "Email"),
            queue="low",
            custom=custom,
            policy=whole,
        )
    chosen = {"key": "[8]", "scope": "mail"}
    yield _case("own words/whose policy chooses", "[1]", custom={"unique_for": 60}, policy=chosen)
    for until in ("success", "start", None):
        custom = {"unique_for": 60, "unique_until": until}
        yield _case(f"own words/until {until}", "[1]", custom=custom)
    for unique_for in (1, 1.5, 315_360_000):
        yield _case(f"own words/{unique_for}", "[1]", custom={"unique_for": unique_for})
    nowhere = {"by": ["7.x"]}
    custom = {"unique_for": 60}
    yield _case("own words/whose policy leads nowhere", "[1]", custom=custom, policy=nowhere)
    for custom in tables.NO_WORDS:
        name = f"own words/none {json.dumps(custom)}"
        yield _case(name, "[1]", queue="low", custom=custom, policy={"scope": "mail"})
    yield _case("own words/no queue", tables.ARGS, custom={"unique_for": 60})
    yield _case("own words/others do not count", tables.ARGS, custom={"locale": "de"}, policy=whole)


def _refused():
    for name, args in tables.REFUSED_ARGS.items():
        yield _case(f"refused/{name}", args, refused=True)
    by = {"by": [0]}
    yield _case("refused/not selected, but it travels", "[1, 1e999]", policy=by, refused=True)
    for chosen in ("9007199254740993", "NaN", '"\\ud800"', "[" * 201 + "]" * 201):
        name = f"refused/chosen {chosen[:20]}"
        yield _case(name, "[]", policy={"key": chosen}, refused=True)
    for paths in tables.MISSING:
        yield _case(f"refused/missing {paths}", "[1]", policy={"by": paths}, refused=True)
    for paths in tables.NO_PATHS:
        yield _case(f"refused/no path {paths}", '[{"x": 1}]', policy={"by": paths}, refused=True)
    for args, path in tables.NOWHERE:
        yield _case(f"refused/nowhere {path} {args}", args, policy={"by": [path]}, refused=True)
    for args in tables.NO_ARGS:
        yield _case(f"refused/no args {args}", args, refused=True)
    for custom in tables.REFUSED_WORDS:
        yield _case(f"refused/words {json.dumps(custom)}", "[]", custom=custom, refused=True)
    for args in ("[1e999]", "[9007199254740993]", '["\\ud800"]', f"[{'[' * 200}{']' * 200}]"):
        name = f"refused/not chosen, but it travels {args[:20]}"
        yield _case(name, args, policy={"key": "1"}, refused=True)
        unselected = f"[1, {args[1:]}"
        name = f"refused/not selected, but it travels {args[:20]}"
        yield _case(name, unselected, policy={"by": [0]}, refused=True)
    yield _case("refused/the next after all doubles", "[1.7976931348623159e308]", refused=True)
    yield _case("refused/no jobtype", "[]", "", refused=True)
    yield _case("refused/no jobtype, but a scope", "[]", "", policy={"scope": "s"}, refused=True)
    both = {"by": [0], "key": "1"}
    yield _case("refused/two selections", "[1]", policy=both, refused=True)


def _drawn(source, number):
    """Yield cases with values drawn from a seed, for what nobody thought of."""
    for n in range(number):
        args = [_value(source, 4) for _ in range(source.randint(1, 4))]
        text = json.dumps(args, ensure_ascii=source.random() < 0.5)
        yield _case(f"drawn/{n}", text, _text(source, 1))


def _value(source, depth):
    kind = source.randrange(8 if depth else 6)
    if kind == 6:
        return [_value(source, depth - 1) for _ in range(source.randrange(4))]
    if kind == 7:
        return {_text(source): _value(source, depth - 1) for _ in range(source.randrange(5))}
    if kind == 5:
        return source.choice([None, True, False])
    if kind in {3, 4}:
        return _text(source)
    if kind == 2:
        return source.randint(-(2**53) + 1, 2**53 - 1)
    while not math.isfinite(number := _double(f"{source.getrandbits(64):016x}")):
        pass
    return number if kind else round(source.uniform(-1e6, 1e6), source.randrange(8))


def _text(source, shortest=0):
    planes = [(0x20, 0x7F), (0, 0x20), (0x80, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)]
    of = source.choices(planes, weights=[8, 1, 3, 1, 2], k=source.randint(shortest, 6))
    return "".join(chr(source.randrange(*plane)) for plane in of)


def _double(ieee):
    return struct.unpack(">d", bytes.fromhex(ieee))[0]
