"""Read settings, and explain what is wrong with them in plain words, without their values."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from helpdesk_assets.errors import MachineError, SettingsError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# In place of pydantic's messages, by the type of the error.
_PLAIN_REASONS = {
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
}

ENV_FILE = Path(".env")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_SettingsT = TypeVar("_SettingsT", bound=BaseSettings)

# The last settings of each kind, with all that they were made of: the environment and `.env`. Each
# step of a run asks for them several times, which took a run in Dagster 80 ms of CPU time.
_loaded: dict[type[BaseSettings], tuple[tuple[dict[str, str], bytes], BaseSettings]] = {}


def load(kind: type[_SettingsT]) -> _SettingsT:
    """Read the environment and `.env` of the current directory, anew if either has changed.

    Raises:
        SettingsError: names each invalid variable and the reason, never its value; or says why
            `.env` cannot be read.
    """
    source = (dict(os.environ), _env_file(ENV_FILE))
    if kind in _loaded and _loaded[kind][0] == source:
        return cast("_SettingsT", _loaded[kind][1])
    try:
        settings = kind()
    except ValidationError as error:
        problems = "; ".join(map(_problem, error.errors()))
        raise SettingsError(
            f"Settings are invalid: {problems}. Correct them in the environment or in .env."
        ) from None
    _loaded[kind] = (source, settings)
    return settings


def _env_file(path: Path) -> bytes:
    """Return the file's content, which must be text in UTF-8; empty if there is no file."""
    try:
        if path.is_dir():
            raise SettingsError(".env is a folder. Make it a file like .env.example, or remove it.")
        content = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise SettingsError(str(MachineError.of(error, "Reading .env"))) from None
    if content.startswith(_UTF16):
        problem = "is written in UTF-16, as Windows' shell writes files"
    elif b"\0" in content:
        problem = "holds NUL bytes, so it is no text"
    elif not _is_utf8(content):
        problem = "is not written in UTF-8"
    else:
        return content
    raise SettingsError(f".env {problem}. Save it as UTF-8 with an editor.")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _problem(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"])).upper()
    message = error["msg"].removeprefix("Value error, ").removesuffix(".")
    message = message.replace("Input should be", "must be")
    reason = _PLAIN_REASONS.get(error["type"], message)
    return f"{name} {reason}".lstrip()
