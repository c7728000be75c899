"""Settings: code over environment over a TOML file, and a clear error for what has no meaning."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from .environment import variable
from .errors import InvalidSettings
from .policy import Policy

PREFIX = "FAKTORY_UNIQUE_"


class Settings(BaseSettings):
    """What `Unique` is told. Build it with `load`.

    Attributes:
        store: where locks live: `redis://`, `rediss://`, `unix://` or `memory://`, or a ready
            store. `FAKTORY_UNIQUE_STORE`.
        policies: the `Policy` of each jobtype, by exact name or glob. `FAKTORY_UNIQUE_POLICIES`,
            as JSON.
        default: the policy of all other jobtypes; without one they are not unique.
            `FAKTORY_UNIQUE_DEFAULT`, as JSON.
        config: path of a TOML file with the three above. `FAKTORY_UNIQUE_CONFIG`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True
    )

    store: Any = Field(default=None, repr=False)  # a URL may hold a password
    policies: dict[str, Policy] = Field(default_factory=dict)
    default: Policy | None = None
    config: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic-settings passes it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Code over environment over TOML; tables merge jobtype by jobtype, field by field."""
        config = init_settings().get("config") or env_settings().get("config")
        if not config:
            return init_settings, env_settings
        if not Path(config).is_file():
            raise FileNotFoundError(f"no file {str(config)!r}")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(config))


def load(**code: object) -> Settings:
    """Settings from what code says (None: says nothing), the environment, and the TOML file.

    Raises:
        InvalidSettings: a name under FAKTORY_UNIQUE_ is unknown, a value impossible, or the file
            missing or unreadable; the message names it.
    """
    _refuse_unknown_names()
    given = {name: value for name, value in code.items() if value is not None}
    if "store" not in given and (store := variable(f"{PREFIX}STORE")):
        given["store"] = store
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as exc:
        raise InvalidSettings(_told(exc)) from exc
    except SettingsError as exc:
        raise InvalidSettings(f"environment: {exc}: {exc.__cause__}; write JSON") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise InvalidSettings(f"config: {exc}") from exc
    return settings


def _refuse_unknown_names() -> None:
    known = [f"{PREFIX}{field.upper()}" for field in Settings.model_fields]
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise InvalidSettings(
                f"{name}: no such setting; there are {', '.join(known)}. "
                "Policies go into FAKTORY_UNIQUE_POLICIES as JSON, or into a TOML file"
            )


def _told(exc: ValidationError) -> str:
    """One line for each wrong value: where it stands, what is wrong, what it was.

    What stands under an unknown name is not shown: it could be a URL with a password.
    """
    lines = []
    for error in exc.errors(include_url=False):
        place = ".".join(str(part) for part in error["loc"]) or "settings"
        if error["type"] == "extra_forbidden":
            lines.append(f"{place}: no such setting")
        else:
            lines.append(f"{place}: {error['msg']} (got {error['input']!r})")
    return "; ".join(lines)
