"""Settings of `Unique` from code, FAKTORY_UNIQUE_… variables and a TOML file, and their errors."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from faktory_unique._environment import variable
from faktory_unique._util import short_repr, short_text
from faktory_unique.errors import InvalidSettings

from .policy import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

PREFIX = "FAKTORY_UNIQUE_"

# The variables that describe a Service to the containers of its Kubernetes namespace.
_SERVICE_LINK = re.compile(
    "_SERVICE_(HOST|PORT|PORT_[A-Z0-9_]+)$|_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$"
)


class _Environment(PydanticBaseSettingsSource):
    """The settings in environment variables, one for each. An empty variable counts as unset."""

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields.items()
        values = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: value for name, value in values.items() if value is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  # pydantic-settings passes it
        """Return the value of a field's variable (None: unset), the field's name, and False.

        False means that the value is already decoded from JSON.
        """
        name = f"{PREFIX}{field_name.upper()}"
        text = variable(name) or None
        if text is None or field_name in {"store", "config"}:
            return text, field_name, False
        try:
            return json.loads(text), field_name, False
        except (ValueError, RecursionError) as exc:
            raise InvalidSettings(f"{name}: {exc}; write JSON") from None


class Settings(BaseSettings):
    """The settings of `Unique`. Build them with `load_settings`.

    Attributes:
        store: where locks live: a URL (`redis://`, `rediss://`, `unix://` or `memory://`), a Redis
            client or a store. Variable `FAKTORY_UNIQUE_STORE`.
        policies: the `Policy` of each jobtype, by exact name or glob. Variable
            `FAKTORY_UNIQUE_POLICIES`, as JSON.
        default: the policy of all other jobtypes. Without it they are not unique. Variable
            `FAKTORY_UNIQUE_DEFAULT`, as JSON.
        config: the path of a TOML file with the three settings above. Variable
            `FAKTORY_UNIQUE_CONFIG`.
    """

    model_config = SettingsConfigDict(case_sensitive=True, extra="forbid", frozen=True)

    store: Any = Field(default=None, repr=False)  # a URL may hold a password
    policies: dict[str, Policy] = Field(default_factory=dict)
    default: Policy | None = None
    config: Path | None = None

    @field_validator("policies")
    @classmethod
    def _usable_names(cls, policies: dict[str, Policy]) -> dict[str, Policy]:
        for name in policies:
            if not name:
                raise ValueError("'' is the name of no jobtype; write '*' for all of them")
            if _has_unclosed_bracket(name):
                raise ValueError(
                    f"{short_repr(name)} has a '[' without a ']'; close it, or write '[[]' for a "
                    "jobtype with a '['"
                )
        return policies

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # replaced by ours
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic-settings passes it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the first has priority: code, environment, TOML file.

        Tables are merged by field.
        """
        environment = _Environment(settings_cls)
        config = init_settings().get("config") or variable(f"{PREFIX}CONFIG")
        if not config:
            return init_settings, environment
        return init_settings, environment, _toml_source(settings_cls, config)


def load_settings(**code: object) -> Settings:
    """Return the settings from code, the environment and the TOML file.

    Code overrides the environment, and the environment overrides the file.

    Args:
        **code: the settings that code gives. None counts as not given.

    Raises:
        InvalidSettings: a variable FAKTORY_UNIQUE_… is unknown, a value is not allowed, or the
            file is missing or unreadable. The message names the setting.
    """
    _refuse_unknown_names()
    given = {name: value for name, value in code.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as exc:
        # From None: pydantic's own text shows the values, which may be passwords.
        raise InvalidSettings(_message(exc, given)) from None
    except RecursionError:  # while tables are merged
        raise InvalidSettings("settings: nested too deeply; write flatter tables") from None


def _toml_source(settings_cls: type[BaseSettings], config: Any) -> PydanticBaseSettingsSource:  # noqa: ANN401  # any value that code gives
    """Return the TOML file as a source of settings. Raise InvalidSettings if it cannot be read."""
    try:
        path = Path(config)
    except TypeError:
        raise InvalidSettings(
            f"config: {short_repr(config)} is not a path; pass the path of a TOML file"
        ) from None
    try:
        if path.is_file():
            return TomlConfigSettingsSource(settings_cls, path)
    except OSError as exc:  # its own text has the whole path, which may be a URL with a password
        raise InvalidSettings(f"config: {short_repr(str(path))}: {exc.strerror}") from None
    except (ValueError, RecursionError) as exc:
        raise InvalidSettings(f"config: {short_repr(str(path))}: {exc}") from None
    raise InvalidSettings(f"config: no file {short_repr(str(path))}")


def _refuse_unknown_names() -> None:
    """Raise InvalidSettings if a variable has our prefix and is no setting.

    Kubernetes sets variables for each Service, also for one called `faktory-unique`.
    """
    known = [f"{PREFIX}{field.upper()}" for field in Settings.model_fields]
    for name in os.environ:
        if not name.upper().startswith(PREFIX) or _SERVICE_LINK.search(name):
            continue
        if name not in known:
            raise InvalidSettings(
                f"{name}: no such setting; the settings are {', '.join(known)}. "
                "Write policies into FAKTORY_UNIQUE_POLICIES as JSON, or into a TOML file"
            )


def _has_unclosed_bracket(glob: str) -> bool:
    """Return whether a glob has a `[` that fnmatch takes literally, since no `]` closes it."""
    while "[" in glob:
        inside = glob.partition("[")[2].removeprefix("!")
        end = inside.find("]", 1)  # a `]` that stands first does not close the brackets
        if end < 0:
            return True
        glob = inside[end + 1 :]
    return False


def _message(exc: ValidationError, code: Mapping[str, object]) -> str:
    """Return the error message: for each wrong value its place, the mistake, and the value.

    The value of an unknown name is not shown: it could be a URL with a password.
    """
    parts = []
    for error in exc.errors(include_url=False):
        loc = error["loc"]
        place = ".".join(short_text(str(step)) for step in loc) or "settings"
        source = _source_suffix(loc, code)
        if error["type"] == "extra_forbidden":
            known = ", ".join(Settings.model_fields if len(loc) == 1 else Policy.model_fields)
            message = f"no such setting{source}; the settings are {known}"
            if isinstance(error["input"], dict) and len(loc) > 1:
                message += '. In TOML, quote a jobtype with a dot: [policies."Mailer.Welcome"]'
        else:
            wrong = error["msg"].removeprefix("Value error, ")
            message = f"{wrong} (got {short_repr(error['input'])}{source})"
        parts.append(f"{place}: {message}")
    return "; ".join(parts)


def _source_suffix(loc: tuple[int | str, ...], code: Mapping[str, object]) -> str:
    """Return " in" and the source of a wrong value.

    It is empty if code gave the value, or if no single source did.
    """
    if not loc or _has(code, loc):
        return ""
    if _has(_Environment(Settings)(), loc):
        return f" in {PREFIX}{str(loc[0]).upper()}"
    config = code.get("config") or variable(f"{PREFIX}CONFIG")
    in_file = config and _has(_toml_source(Settings, config)(), loc)
    return f" in {short_repr(str(config))}" if in_file else ""


def _has(table: object, loc: tuple[int | str, ...]) -> bool:
    """Return whether a table has a value at this place."""
    for step in loc:
        if not isinstance(table, dict) or step not in table:
            return False
        table = table[step]
    return True
