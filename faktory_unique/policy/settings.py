"""Settings: code over environment over a TOML file, and a clear error for what has no meaning."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError
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


class _Environment(PydanticBaseSettingsSource):
    """A variable for each setting, by its exact name; an empty one says nothing."""

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields.items()
        told = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: value for name, value in told.items() if value is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  # pydantic-settings passes it
        """What the variable says, None where nothing; its field; that it needs no more decoding."""
        name = f"{PREFIX}{field_name.upper()}"
        text = variable(name) or None
        if text is None or field_name in {"store", "config"}:
            return text, field_name, False
        try:
            return json.loads(text), field_name, False
        except (ValueError, RecursionError) as exc:
            raise InvalidSettings(f"{name}: {exc}; write JSON") from None


class Settings(BaseSettings):
    """What `Unique` is told. Build it with `load_settings`.

    Attributes:
        store: where locks live: `redis://`, `rediss://`, `unix://` or `memory://`, or a ready
            store. `FAKTORY_UNIQUE_STORE`.
        policies: the `Policy` of each jobtype, by exact name or glob. `FAKTORY_UNIQUE_POLICIES`,
            as JSON.
        default: the policy of all other jobtypes; without one they are not unique.
            `FAKTORY_UNIQUE_DEFAULT`, as JSON.
        config: path of a TOML file with the three above. `FAKTORY_UNIQUE_CONFIG`.
    """

    model_config = SettingsConfigDict(case_sensitive=True, extra="forbid", frozen=True)

    store: Any = Field(default=None, repr=False)  # a URL may hold a password
    policies: dict[str, Policy] = Field(default_factory=dict)
    default: Policy | None = None
    config: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # ours stands in for it
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic-settings passes it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Code over environment over TOML; tables merge jobtype by jobtype, field by field."""
        environment = _Environment(settings_cls)
        config = init_settings().get("config") or variable(f"{PREFIX}CONFIG")
        if not config:
            return init_settings, environment
        return init_settings, environment, _toml(settings_cls, config)


def load_settings(**code: object) -> Settings:
    """Settings from what code says (None: says nothing), the environment, and the TOML file.

    Raises:
        InvalidSettings: a name under FAKTORY_UNIQUE_ is unknown, a value impossible, or the file
            missing or unreadable; the message names it.
    """
    _refuse_unknown_names()
    given = {name: value for name, value in code.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as exc:
        # None, since pydantic's own text shows what was given.
        raise InvalidSettings(_told(exc, given)) from None
    except RecursionError:  # where tables are merged
        raise InvalidSettings("settings: nested too deep") from None


def _toml(settings_cls: type[BaseSettings], config: Any) -> PydanticBaseSettingsSource:  # noqa: ANN401  # whatever code gave
    """What stands in the TOML file."""
    try:
        path = Path(config)
    except TypeError:
        raise InvalidSettings(f"config: {short_repr(config)} is no path of a file") from None
    try:
        if path.is_file():
            return TomlConfigSettingsSource(settings_cls, path)
    except OSError as exc:  # its own words have the path, which can be a URL
        raise InvalidSettings(f"config: {short_repr(str(path))}: {exc.strerror}") from None
    except (ValueError, RecursionError) as exc:
        raise InvalidSettings(f"config: {short_repr(str(path))}: {exc}") from None
    raise InvalidSettings(f"config: no file {short_repr(str(path))}")


def _refuse_unknown_names() -> None:
    known = [f"{PREFIX}{field.upper()}" for field in Settings.model_fields]
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name not in known:
            raise InvalidSettings(
                f"{name}: no such setting; there are {', '.join(known)}. "
                "Policies go into FAKTORY_UNIQUE_POLICIES as JSON, or into a TOML file"
            )


def _told(exc: ValidationError, code: Mapping[str, object]) -> str:
    """One line for each wrong value: where it stands, what is wrong, what it was.

    What stands under an unknown name is not shown: it could be a URL with a password.
    """
    lines = []
    for error in exc.errors(include_url=False):
        loc = error["loc"]
        place = ".".join(short_text(str(part)) for part in loc) or "settings"
        source = _source(loc, code)
        if error["type"] == "extra_forbidden":
            there_are = ", ".join(Settings.model_fields if len(loc) == 1 else Policy.model_fields)
            told = f"no such setting{source}; there are {there_are}"
            if isinstance(error["input"], dict) and len(loc) > 1:
                told += '. A jobtype with a dot is quoted in TOML: [policies."Mailer.Welcome"]'
        else:
            message = error["msg"].removeprefix("Value error, ")
            told = f"{message} (got {short_repr(error['input'])}{source})"
        lines.append(f"{place}: {told}")
    return "; ".join(lines)


def _source(loc: tuple[int | str, ...], code: Mapping[str, object]) -> str:
    """Where a wrong value comes from, in words; empty where that is code, or several sources."""
    if not loc or _has(code, loc):
        return ""
    if _has(_Environment(Settings)(), loc):
        return f" in {PREFIX}{str(loc[0]).upper()}"
    config = code.get("config") or variable(f"{PREFIX}CONFIG")
    in_file = config and _has(_toml(Settings, config)(), loc)
    return f" in {short_repr(str(config))}" if in_file else ""


def _has(told: object, loc: tuple[int | str, ...]) -> bool:
    """Whether something stands at this place."""
    for part in loc:
        if not isinstance(told, dict) or part not in told:
            return False
        told = told[part]
    return True
