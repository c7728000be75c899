"""A raw connection that sends any bytes and returns each reply to the byte; jobs for it."""

import hashlib
import itertools
import json
import re
import socket

from tests.patience import PATIENCE

HOST = "127.0.0.1"

JID = re.compile(r'"jid":("(?:[^"\\]|\\.)*"),"queue":')  # of a job, however deep its arguments

_numbers = itertools.count(1)


def compact(value):
    """Return JSON without spaces, which MUTATE refuses."""
    return json.dumps(value, separators=(",", ":"))


def beginning(reply):
    """Return a reply without the reasons in errors that Go's libraries word; the fake has its own.

    The rule of this suite: an error is compared up to where Go says why a text is not JSON (`not
    JSON` then stands for it), is of a wrong type, or is not a time. Faktory's own words count.
    """
    rest = ".*" if reply.startswith("-ERR ") else r'(?:[^"\\]|\\.)*'  # of a string in PUSHB's map
    reply = re.sub(f"(invalid character|unexpected end of JSON){rest}", "not JSON", reply)
    beginnings = "json: cannot unmarshal|invalid timestamp for 'at'|QUEUE: parsing time"
    return re.sub(f"({beginnings}){rest}", r"\1", reply)


def new_wid():
    """Return a worker id that no other test has."""
    return f"worker-{next(_numbers)}"


def password_hash(password, greeting, times=None):
    """Return the password hash of a HELLO, for the greeting of its connection."""
    hi = json.loads(greeting.removeprefix("+HI "))
    digest = (password + hi["s"]).encode()
    for _ in range(hi["i"] if times is None else times):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()


class Line:
    """A connection after its HI.

    A reply is its line without the end (`+OK`, `-ERR …`, `$-1`), or the content of a bulk, or None
    when the server has closed the connection. In text, bytes that are not UTF-8 are those of
    `surrogateescape`.

    Attributes:
        greeting: the HI.
        fetched: jids of the jobs that were fetched.
    """

    def __init__(self, port, timeout=PATIENCE):
        self._socket = socket.create_connection((HOST, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""
        self.fetched = set()
        self.greeting = self.reply()

    def close(self):
        self._socket.close()

    def send(self, text):
        """Send text or bytes without adding a line end."""
        data = text if isinstance(text, bytes) else text.encode(errors="surrogateescape")
        self._socket.sendall(data)

    def reply(self):
        head = self._until(b"\r\n")
        if head is None or not head.startswith(b"$") or head == b"$-1":
            return None if head is None else head.decode(errors="surrogateescape")
        size = int(head[1:])
        while len(self._read) < size + 2:
            self._read += self._socket.recv(65_536) or self._lost()
        body, end = self._read[:size], self._read[size : size + 2]
        self._read = self._read[size + 2 :]
        assert end == b"\r\n"
        text = body.decode(errors="surrogateescape")
        if found := JID.search(text):
            self.fetched.add(json.loads(found[1]))
        return text

    def ask(self, command):
        """Send a line and return the reply."""
        self.send(
            command if isinstance(command, bytes) else command.encode(errors="surrogateescape")
        )
        self.send(b"\r\n")
        return self.reply()

    def hello(self, **data):
        """Send HELLO and return the reply."""
        return self.ask(f"HELLO {compact({'v': 2} | data)}")

    def push(self, jid="job-number-1", **fields):
        """Push one job by PUSHB and return the reply; other fields are as small as possible."""
        return self.ask(f"PUSHB {compact([job(jid, **fields)])}")

    def fetch(self, *queues):
        """Fetch a job and return its payload; None if there was none."""
        reply = self.ask(" ".join(["FETCH", *(queues or ["default"])]))
        return None if reply == "$-1" else json.loads(reply)

    def ack(self, jid="job-number-1"):
        return self.ask(f"ACK {compact({'jid': jid})}")

    def fail(self, jid="job-number-1", **failure):
        return self.ask(f"FAIL {compact({'jid': jid} | failure)}")

    def beat(self, wid, **data):
        return self.ask(f"BEAT {compact({'wid': wid} | data)}")

    def mutate(self, command, target, **chosen):
        """Send MUTATE, without a filter if nothing is chosen, and return the reply."""
        operation = {"cmd": command, "target": target}
        return self.ask(f"MUTATE {compact(operation | ({'filter': chosen} if chosen else {}))}")

    def info(self):
        return json.loads(self.ask("INFO"))

    def sets(self):
        """Return the sizes of scheduled, retries, dead and working, without empty sets."""
        return {name: size for name, size in self.info()["faktory"]["sets"].items() if size}

    def queues(self):
        """Return the sizes of all known queues."""
        return self.info()["faktory"]["queues"]

    def busy(self):
        """Return the number of reservations in the server's memory."""
        return self.info()["faktory"]["tasks"]["Busy"]["size"]

    def _until(self, end):
        while end not in self._read:
            try:
                received = self._socket.recv(65_536)
            except ConnectionError:
                received = b""
            if not received:
                assert not self._read, f"connection closed within {self._read!r}"
                return None
            self._read += received
        line, self._read = self._read.split(end, 1)
        return line

    def _lost(self):
        raise AssertionError(f"connection closed within {self._read!r}")


def job(jid="job-number-1", **fields):
    """Return a job with the fields that PUSH needs."""
    return {"jid": jid, "jobtype": "work", "args": [], "retry": 25} | fields
