"""The Go types that JSON is decoded into and encoded from.

Go's values become Python's: a struct is a dict with all its fields under their JSON names, a nil
is None, a float64 is a float.

    JOB = Struct("client.Job", (Field("retry", Pointer(INT)), Field("jid", STRING), ...))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

# fold.go: besides a-z, two letters of ASCII have a sibling outside it, the long s and the Kelvin.
_FOLDS = {ord(low): low.upper() for low in "abcdefghijklmnopqrstuvwxyz"}
_FOLDS |= {0x17F: "S", 0x212A: "K"}


def fold(name: str) -> str:
    """What a name has in common with those that differ from it by case, as far as it is ASCII."""
    return name.translate(_FOLDS)


@dataclass(frozen=True)
class String:
    """A string, or a type that is one."""

    go_name: str = "string"


@dataclass(frozen=True)
class Integer:
    """An integer type and the numbers that it holds."""

    go_name: str
    low: int
    high: int


@dataclass(frozen=True)
class Float:
    """A float64."""

    go_name: str = "float64"


@dataclass(frozen=True)
class Anything:
    """An `any`, which holds whatever comes; numbers become float64."""

    go_name: str = "interface {}"


@dataclass(frozen=True)
class _Of:
    """A type made of another one."""

    of: Shape
    prefix: ClassVar[str]

    @cached_property
    def go_name(self) -> str:
        """As reflect prints it."""
        return f"{self.prefix}{self.of.go_name}"


class Slice(_Of):
    """A slice; of anything but bytes, which Go has in base64."""

    prefix = "[]"


class Map(_Of):
    """A map with string keys."""

    prefix = "map[string]"


class Pointer(_Of):
    """A pointer: what it points to, or None."""

    prefix = "*"


@dataclass(frozen=True)
class Field:
    """A field of a struct: its JSON name, which is ASCII, and its type."""

    name: str
    shape: Shape
    omit_empty: bool = False


@dataclass(frozen=True)
class Struct:
    """A struct: its name with the package, and its fields in the order of their declaration."""

    go_name: str
    fields: tuple[Field, ...]

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The fields by their JSON names."""
        return {field.name: field for field in self.fields}

    @cached_property
    def by_folded_name(self) -> dict[str, Field]:
        """The fields by their names without case; the first one counts."""
        return {fold(field.name): field for field in reversed(self.fields)}


Value: TypeAlias = Any
"""A Go value as Python has it; which, its shape says."""

Shape: TypeAlias = String | Integer | Float | Anything | Slice | Map | Pointer | Struct

STRING = String()
INT = Integer("int", -(2**63), 2**63 - 1)
INT64 = Integer("int64", -(2**63), 2**63 - 1)
UINT8 = Integer("uint8", 0, 2**8 - 1)
FLOAT64 = Float()
ANY = Anything()


def zero(shape: Shape) -> Value:
    """What a variable of the type holds at first."""
    match shape:
        case String():
            return ""
        case Integer():
            return 0
        case Float():
            return 0.0
        case Struct(fields=fields):
            return {field.name: zero(field.shape) for field in fields}
        case _:
            return None
