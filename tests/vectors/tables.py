"""Tables of the values that the cases of keys.json are made from."""

from __future__ import annotations

# RFC 8785, appendix B, and the neighbours of its values.
_IEEE_754 = """
0000000000000000 8000000000000000 0000000000000001 8000000000000001 7fefffffffffffff
ffefffffffffffff 4340000000000000 c340000000000000 4430000000000000 44b52d02c7e14af5
44b52d02c7e14af6 44b52d02c7e14af7 444b1ae4d6e2ef4e 444b1ae4d6e2ef4f 444b1ae4d6e2ef50
3eb0c6f7a0b5ed8c 3eb0c6f7a0b5ed8d 41b3de4355555553 41b3de4355555554 41b3de4355555555
41b3de4355555556 41b3de4355555557 becbf647612f3696 43143ff3c1cb0959
433fffffffffffff c33fffffffffffff 4340000000000001 0010000000000000 000fffffffffffff
3eb0c6f7a0b5ed8b 3e7ad7f29abcaf48 3e8421f5f40d8376 7e41eb2d66005835 bdf12e0be826d695
3fb999999999999a 3fd3333333333334 444b1ae4d6e2ef51
"""
IEEE_754 = _IEEE_754.split()

# Each line has several spellings of one number: all must have one key.
SPELLINGS = [
    ["1", "1.0", "1e0", "100e-2", "0.1E1"],
    ["0", "-0", "-0.0", "0e10", "0.000"],
    ["4.5", "4.50", "45e-1"],
    ["0.002", "2e-3", "0.2E-2"],
    ["1e+30", "1E30", "1000000000000000000000000000000.0"],
    ["100000000000000000000.0", "1e20", "1e+20"],
    ["9007199254740991", "9007199254740991.0", "9.007199254740991e15"],
    ["9007199254740992.0", "9007199254740993.0", "9007199254740992e0"],
    ["333333333.3333333", "333333333.33333329", "333333333.33333331"],
    ["5e-324", "4.9e-324", "3e-324"],
    ["0.0", "1e-400", "-2e-324"],
]

# As raw text and as escapes.
TEXTS = {
    "ascii": "Hello, World",
    "empty": "",
    "quote and backslash": '"\\/',
    "short escapes": "\b\t\n\f\r",
    "other controls": "\0\x01\x0b\x0e\x1f",
    "delete is no control": "\x7f\x80\x9f",
    "html": "<script>&amp;</script>",
    "line separators": "\u2028\u2029",
    "composed": "\u00e9",
    "decomposed": "e\u0301",
    "hangul": "\uac00",
    "hangul in parts": "\u1100\u1161",
    "case without a twin": "\u00df\u0130",
    "before the surrogates": "\ud7ff",
    "after the surrogates": "\ue000\ufb33",
    "mark of order": "\ufeff",
    "replacement": "\ufffd",
    "no characters": "\ufffe\uffff",
    "first beyond the BMP": "\U00010000",
    "emoji": "\U0001f600",
    "last of all": "\U0010ffff",
    "flag": "\U0001f1e8\U0001f1ed",
    "escape of an escape": "\\u0000\\ud800",
    "section 3.2.2": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
}

# Names that sort by UTF-16 code unit, and differently by code point, by byte or as numbers.
KEYS = {
    "section 3.2.3": ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"],
    "surrogates sort below U+E000": ["\ue000", "\U00010000", "\uffff", "\U0010ffff", "\ud7ff"],
    "the second unit decides": ["\U0001f600", "\U0001f601", "\U0001f5ff"],
    "a longer one comes after": ["a", "aa", "", "a\0", "A", "Z", "_"],
    "digits are text": ["10", "9", "1", "01", "-1", "1.5"],
    "names of objects": ["__proto__", "constructor", "toString", "length", "hasOwnProperty"],
    "escaped signs": ['"', "\\", "/", "\n", "\x7f", "<"],
    "forms of one letter": ["\u00e9", "e\u0301", "e"],
}

NESTED = {
    "nothing": [],
    "an empty list and object": [[], {}],
    "emptinesses": [[[], [[]]], {"": {"": {}}}, "", None, False, 0],
    "literals": [True, False, None],
    "section 3.2.2": [
        {
            "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
            "literals": [None, True, False],
        }
    ],
    "a list in a list is not flat": [[1], 2],
    "nor the other way": [1, [2]],
    "nor is it all": [1, 2],
    "an object of lists": [{"b": [{"d": 1, "c": [2, {"z": 0, "a": None}]}], "a": {}}],
    "user and tags": [42, {"user_id": 7, "tags": ["a", 1.5], "name": "J\u00f6rg"}],
}

NAMES = [
    "Email",
    "Billing::Invoice",
    "app.jobs.Mail",
    "a:b:",
    ":",
    "with space",
    "{Email}",
    "%7B",
    "a%{b}%25}c{",
    "*?[x]\\",
    "Gr\u00fc\u00dfe",
    "\u65e5\u672c\u8a9e",
    "\U0001f600",
    '"quoted"\n\t',
    "email",
    "\0",
]

ARGS = (
    '[42, {"user_id": 7, "tags": ["a", 1.5, {"id": 1e1}], "01": "x", "1": "y"}, ["\u00e9", null]]'
)

SELECTIONS = [
    [0],
    ["0"],
    [0, "1.user_id"],
    ["1.user_id", 0],
    ["1.user_id"],
    ["1.tags"],
    ["1.tags.1"],
    ["1.tags.2.id"],
    ["1.01"],
    ["1.1"],
    ["2.1"],
    ["2"],
    [2, 2],
    [0, 1, 2],
]

CHOSEN = [
    "false",
    "0",
    '""',
    "null",
    "[]",
    "7",
    "7.0",
    '"7"',
    '{"b": 1, "a": [2.50]}',
    '["\\ud83d\\ude00"]',
]

NO_ARGS = ["{}", "null", "7", '"[]"', "[1,]", "[01]", "[1] 2", "['a']", '["\n"]', ""]

# A job's own options that are refused; and options that count as none.
REFUSED_WORDS = [
    *({"unique_for": value} for value in (0, 0.5, -1, "600", True, [600], 315_360_001)),
    {"unique_for": 600, "unique_until": "expiry"},
    {"unique_for": 600, "unique_until": True},
    {"unique_until": "start"},
]
NO_WORDS = [{}, {"unique_for": None}, {"unique_for": None, "unique_until": None}, {"locale": "de"}]

REFUSED_ARGS = {
    "an integer too large": "[9007199254740992]",
    "an integer too small": "[-9007199254740992]",
    "an integer that doubles round": "[9007199254740993]",
    "an integer of twenty digits": "[100000000000000000000]",
    "an integer of 400 digits": f"[1{'0' * 400}]",
    "a large integer deep inside": '[{"a": [[{"b": 9007199254740993}]]}]',
    "not a number": "[NaN]",
    "infinity": "[Infinity]",
    "minus infinity": "[-Infinity]",
    "beyond all doubles": "[1e400]",
    "beyond all doubles, negative": "[-1.8e308]",
    "a high surrogate": '["\\ud800"]',
    "a low surrogate": '["\\udc00"]',
    "surrogates in the wrong order": '["\\ude00\\ud83d"]',
    "a high surrogate before a letter": '["\\ud83da"]',
    "two high surrogates": '["\\ud83d\\ud83d\\ude00"]',
    "a surrogate in a key": '[{"\\udfff": 1}]',
    "201 levels": "[" * 201 + "]" * 201,
    "201 levels beside others": "[[], " + "[" * 200 + "]" * 200 + ", 1]",
    "201 levels of objects": '[{"a":' * 100 + "[]" + "}]" * 100,
}

WHOLE = {"by": ["1.user_id"], "scope": "mail", "per_queue": True}

# Selections that lead nowhere in these args. Some languages find more in a list, a text or an
# object than its members; none of that is a member.
NOWHERE = [
    ("[[1, 2]]", "0.length"),
    ("[[1, 2]]", "0.-1"),
    ("[[1, 2]]", "0.01"),
    ("[[1, 2]]", "0.2"),
    ("[[1, 2]]", "0.\u0661"),
    ("[[1, 2]]", "0. 1"),
    ('["abc"]', "0.length"),
    ('["abc"]', "0.0"),
    ("[{}]", "0.toString"),
    ("[{}]", "0.constructor"),
    ("[{}]", "0.__proto__"),
    ('[{"01": 1}]', "0.1"),
    ('[{"1": 1}]', "0.01"),
    ("[null]", "0.x"),
    ("[1, 2]", 4294967296),
]

MISSING = [["0.length"], ["0.toString"], [1], ["0.x"], ["0.0"], ["0", 7], [9007199254740991]]
NO_PATHS = [[-1], ["01"], ["01.x"], ["0."], [".0"], ["0..x"], ["x"], [""], ["+0"], ["0 "]]
NO_PATHS += [
    ["\u0660"],
    ["0\n"],
    ["1_0"],
    ["1 "],
    [],
    [0.5],
    [True],
    [None],
    [[0]],
    [9007199254740992],
    ["1e0"],
]
