"""Read settings, and explain what is wrong with them in plain words, without their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from helpdesk_assets.errors import SettingsError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# In place of pydantic's messages, by the type of the error.
_PLAIN_REASONS = {
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
}

_SettingsT = TypeVar("_SettingsT", bound=BaseSettings)


def load(kind: type[_SettingsT]) -> _SettingsT:
    """Read the environment and `.env` of the current directory.

    Raises:
        SettingsError: names each invalid variable and the reason, never its value.
    """
    try:
        return kind()
    except ValidationError as error:
        problems = "; ".join(map(_problem, error.errors()))
        raise SettingsError(
            f"Settings are invalid: {problems}. Correct them in the environment or in .env."
        ) from None


def _problem(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"])).upper()
    message = error["msg"].removeprefix("Value error, ").removesuffix(".")
    message = message.replace("Input should be", "must be")
    reason = _PLAIN_REASONS.get(error["type"], message)
    return f"{name} {reason}".lstrip()
