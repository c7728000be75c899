"""Random commands that clients hardly ever send: odd values, broken JSON, odd times and globs."""

import json

from .wire import job

# Values as JSON text, and texts that are not JSON.
ODD = [
    *(b"null", b"true", b"false", b"[]", b"{}", b'""', b'"x"', b"[1,[2]]", b'{"a":{"b":null}}'),
    *(b"0", b"-0", b"1", b"-1", b"1.0", b"1e2", b"1E+2", b"-1e-400", b"1e400", b"0.1", b"1e21"),
    *(b"9007199254740993", b"9223372036854775807", b"9223372036854775808", b"256", b"86401"),
    *(b"-9223372036854775809", b"123456789012345678901234567890", b"0.30000000000000004"),
    *(b"2.5e-8", b"01", b".5", b"5.", b"+1", b"1e", b"- 1", b"NaN", b"Infinity", b"nul", b"'x'"),
    *(b'"\\u0000\\b"', b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\\udc00\\ud800\\u0041"', b'"\\x"'),
    *(b'"\\u12"', b'"\xff\xc3("', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xef\xbf\xbd"'),
    *('"é<&>\u2028😀"'.encode(), b'"\x7f"', b'"\x01"', b'"a\tb"', b'"' + b"x" * 300 + b'"'),
    *(b'[[[[[[[["deep"]]]]]]]]', b'{"b":1,"a":2,"a":3}', b'{"a":}', b"[1,]", b"[,1]", b'{"a" 1}'),
    *(b'["a" "b"]', b"[1e400]", b'{"x":[-1e400]}', b'"12345678"', b'{"remaining":"x"}'),
]

# Fields of a job, and values of their types.
FIELDS = {
    b"retry": [b"5", b"0", b"-1", b"25", b"3"],
    b"failure": [b'{"retry_count":1,"remaining":2}', b"null", b'{"backtrace":["a",null]}'],
    b"custom": [b'{"a":1.50,"b":[1e3]}', b"{}", b"null", b'{"\\u00e9":"\\/"}'],
    b"queue": [b'"default"', b'"b"', b'""', b'"B-2_.x"', b'"a b"', b'"q\\u0071"', b"null"],
    b"created_at": [b'"1999"', b'""', b"null"],
    b"enqueued_at": [b'"1999"', b'""'],
    b"at": [b'""', b'"1999-01-01T00:00:00Z"', b'"2090-01-01T00:00:00Z"', b"null", b'"x"'],
    b"reserve_for": [b"0", b"60", b"86400", b"-1"],
    b"backtrace": [b"0", b"5"],
    b"unknown": [b"1", b'{"a":[]}'],
}
REQUIRED = {
    b"jid": [b'"job-number-1"', b'"job-number-2"', b'"12345678"', '"jid-é<\\u003e>"'.encode()],
    b"jobtype": [b'"work"', b'"W::\\u00e9"', b'"<w>"'],
    b"args": [b"[]", b"[1,2.0]", b'["a",{"z":1,"b":null}]', b"[1e21,-0.0,1e-7]"],
}
FAILURES = {
    b"message": [b'"m"', b'""', b'" \\u0085m\\u00a0 "', b'"' + b"m" * 1_001 + b'"'],
    b"errtype": [
        b'"E"',
        b'""',
        '"é"'.encode(),
        b'"' + b"\xc3\xa9" * 51 + b'"',
    ],
    b"backtrace": [b"[]", b'["a"]', b'["a",null,"<"]', b"null"],
}
# Parts of globs, complete and cut off.
GLOBS = [
    *("*", "?", "??", "**", "[a-z]", "[^a-z]", "[z-a]", "[", "]", "[]", "[^]", "[^", "\\", "[\\]]"),
    *("[a-", "[-z]", "[é]", "\\*", "\\\\", "^", "-", "", "\x00", "[*?]"),
]
BYTES = b' "{}[],:\\/-+.eE019truefalsn\x00\x1f\x7f\x80\xc3\xa9\xff\r\t'


class Odd:
    """A source of odd text.

    Args:
        random: a random.Random.
    """

    def __init__(self, random):
        self.random = random
        self.pick = random.choice

    def _name(self, name):
        match self.random.randrange(20):
            case 0:
                return name.upper()
            case 1:
                return name.replace(b"s", "\u017f".encode()).replace(b"k", "\u212a".encode())
            case 2:
                return b"\\u%04x%b" % (name[0], name[1:])
        return name

    def _object(self, members):
        space = self.pick([b"", b"", b"", b" ", b"\t "])
        text = (b",%b" % space).join(
            b'"%b":%b%b' % (self._name(name), space, value) for name, value in members
        )
        return b"{%b}" % text

    def fields(self, always, sometimes, oddity):
        """Return an object of fields that mostly have values of their types."""
        names = list(always) + [name for name in sometimes if self.random.random() < 0.3]
        self.random.shuffle(names)
        values = always | sometimes
        members = [
            (name, self.pick(ODD if self.random.random() < oddity else values[name]))
            for name in names
        ]
        if members and self.random.random() < oddity:
            name = self.pick([name for name, _ in members if name != b"retry"])
            members.append((name, self.pick([*ODD, *values[name]])))
        return self._object(members)

    def job(self):
        return self.fields(REQUIRED, FIELDS, 0.04)

    def broken(self, text):
        """Return the text with some of its bytes lost, doubled or replaced."""
        for _ in range(self.random.randrange(1, 3)):
            at = self.random.randrange(len(text) + 1)
            byte = bytes([self.pick(BYTES)])
            match self.random.randrange(5):
                case 0:
                    text = text[:at]
                case 1:
                    text = text[:at] + text[at + 1 :]
                case 2:
                    text = text[:at] + byte + text[at:]
                case 3:
                    text = text[:at] + byte + text[at + 1 :]
                case 4:
                    text = text[:at] + text[max(0, at - 5) :]
        return text

    def push(self):
        many = self.random.random() < 0.5
        text = (
            b",".join(self.job() for _ in range(self.random.randrange(3))) if many else self.job()
        )
        text = b"[%b]" % text if many else text
        if self.random.random() < 0.3:
            text = self.broken(text)
        return b"%b %b" % (b"PUSHB" if many else b"PUSH", text)

    def report(self):
        """Return an ACK or FAIL of any job, a BEAT of an unknown worker, or another command."""
        jids = {b"jid": REQUIRED[b"jid"]}
        text = self.pick(
            [
                b"ACK " + self.fields(jids, {b"n": [b'"a"', b"null"]}, 0.1),
                b"FAIL " + self.fields(jids, FAILURES, 0.05),
                b"BEAT " + self.fields({b"wid": REQUIRED[b"jid"]}, {b"rss_kb": [b"5"]}, 0.2),
                b"QUEUE " + self.pick(ODD),
                b"TRACK",
            ]
        )
        return self.broken(text) if self.random.random() < 0.2 else text

    def mutation(self):
        """Return a MUTATE of a set that is empty, with odd other fields."""
        chosen = self.fields(
            {}, {b"jids": [b'["a"]', b"[]"], b"regexp": [b'"*"'], b"jobtype": [b'"w"']}, 0.2
        )
        commands = [b'"clear"', b'"kill"', b'"discard"', b'"requeue"', b'"Kill"']
        sets = [b'"dead"', b'"working"', b'"Dead"']
        text = self.fields({b"cmd": commands, b"target": sets}, {b"filter": [chosen]}, 0.15)
        return b"MUTATE " + (self.broken(text) if self.random.random() < 0.2 else text)

    def time(self):
        """Return a text like a time, years away from now."""
        year = self.pick(["1999", "2090", "0000", "9999", "0001", "2000", "10000", "199"])
        parts = [
            *(year, "-", self.pick(["01", "02", "12", "13", "00", "1"]), "-"),
            *(self.pick(["01", "28", "29", "30", "31", "32", "00", "1"]), self.pick("TTTTt ")),
            *(self.pick(["00", "23", "24", "5", "7:"]), ":", self.pick(["00", "59", "60", "5"])),
            *(":", self.pick(["00", "59", "60", "5"])),
            self.pick(["", "", ".5", ",25", ".", ".123456789", ".1234567891234", ".x"]),
            self.pick(
                ["Z", "Z", "z", "", "+00:00", "-23:59", "+24:00", "+24:60", "+25:00", "+1:00"]
            ),
        ]
        text = "".join(parts)
        if self.random.random() < 0.2:
            at = self.random.randrange(len(text))
            text = text[:at] + self.pick(["é", '"', "\\", "0", "", "\x7f", "-"]) + text[at + 1 :]
        return text

    def glob(self):
        """Return a glob that is likely to match one of PAYLOADS."""
        text = self.pick(PAYLOADS)["jobtype"]
        start = self.random.randrange(len(text))
        parts = list(text[start : start + self.random.randrange(1, 8)])
        for _ in range(self.random.randrange(4)):
            at = self.random.randrange(len(parts))
            parts[at] = self.pick(GLOBS)
        return self.pick(["*", "*", "", "?*"]) + "".join(parts) + self.pick(["*", "*", "", "?"])


PAYLOADS = [
    job(f"job-number-{number}", jobtype=jobtype, at="2090-01-01T00:00:00Z", created_at="1999")
    for number, jobtype in enumerate(
        [
            "Mail::Deliver",
            "mail_deliver",
            "a*b?c[d]e",
            "back\\slash^-]",
            "éüß-ÉÜ",
            "x" * 80,
            "abcabcabd",
            "[^a-z]",
            "aab",
            '"quoted"',
            "<1>&",
            "]-[",
        ]
    )
]


def pushed(text):
    """Return a PUSHB of a job with this `at`."""
    return f"PUSHB [{json.dumps(job(at=text, created_at='1999'))}]"
