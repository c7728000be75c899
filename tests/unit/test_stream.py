"""Replies are bounded: a server cannot fill the memory of its clients."""

from __future__ import annotations

import itertools

import pytest

from faktory_unique.client.stream import Stream

LINE = 64 * 1024
BULK = 64 * 1024 * 1024
CHUNK = b"x" * LINE
MANY = 600  # chunks: 39 MB, after which the server stops


class Endless(Stream):
    """Reads a start, then chunks of the letter x."""

    def __init__(self, start, chunks=MANY):
        super().__init__()
        self._chunks = itertools.chain([start], itertools.repeat(CHUNK, chunks))
        self.read = 0

    def _read_more(self, deadline):
        chunk = next(self._chunks, None)
        if chunk is None:
            raise ConnectionResetError("no more chunks")
        self.read += len(chunk)
        self._buffer += chunk

    def send(self, command, deadline):
        raise NotImplementedError  # nothing is sent over it

    is_idle = wait_readable = end = close = abort = detach = send


@pytest.mark.parametrize("start", [b"", b"+", b"-ERR ", b"$", b"HTTP/1.1 200 OK\n"], ids=ascii)
def test_endless_line_is_refused_at_64_kib(start):
    stream = Endless(start)
    with pytest.raises(ValueError, match="longer than 65536 bytes"):
        stream.read_reply(None)
    assert stream.read <= 2 * LINE + len(start)


@pytest.mark.parametrize("length", [BULK + 1, 10**9, 10**12 - 1])
def test_bulk_above_64_mib_is_refused_before_it_is_read(length):
    start = b"$%d\r\n" % length
    stream = Endless(start)
    with pytest.raises(ValueError, match="larger than 67108864"):
        stream.read_reply(None)
    assert stream.read == len(start)


def test_longest_line_is_read_whole():
    line = "+" + "x" * (LINE - 1)
    assert Endless(f"{line}\r\n".encode()).read_reply(None) == line


def test_line_one_byte_longer_is_refused():
    with pytest.raises(ValueError, match="longer than 65536 bytes"):
        Endless(b"+" + CHUNK + b"\r\n").read_reply(None)


def test_largest_bulk_is_read_whole():
    stream = Endless(b"$%d\r\n" % BULK, chunks=BULK // LINE)
    stream._chunks = itertools.chain(stream._chunks, [b"\r\n"])
    reply = stream.read_reply(None)
    assert len(reply) == len("$67108864\r\n") + BULK
