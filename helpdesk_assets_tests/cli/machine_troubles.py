"""What can be wrong with a machine, and the commands that meet it."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest

Break = Callable[[pytest.MonkeyPatch, Path], None]

# Each with the least that it needs; `webhooks` would serve for ever if it started.
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("sync",),
    ("sync", "--full", "--json"),
    ("repair", "--ids", "1"),
    ("repair", "--since", "2026-01-01T00:00:00Z"),
    ("reconcile",),
    ("status",),
    ("status", "--json"),
    ("watermark", "show"),
    ("watermark", "set", "2026-01-01T00:00:00Z", "--yes"),
    ("watermark", "rebuild", "--yes"),
    ("webhooks", "--port", "0", "--insecure"),
    ("alerts", "test"),
)


def _env_file(content: bytes) -> Break:
    def write(_: pytest.MonkeyPatch, folder: Path) -> None:
        (folder / ".env").write_bytes(content)

    return write


def _env_folder(_: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / ".env").mkdir()


def _env_forbidden(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Forbid by a patch: who runs tests as root may read all files."""
    (folder / ".env").write_text("HELPDESK_USER=x\n")
    monkeypatch.setattr(Path, "read_bytes", _forbidden)


def _forbidden(path: Path) -> NoReturn:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


NAME = "HELPDESK_USER=Jörg\n"
ENV_FILES: dict[str, Break] = {
    "Latin-1": _env_file(NAME.encode("latin-1")),
    "UTF-16 with BOM": _env_file(NAME.encode("utf-16")),
    "UTF-16 without BOM": _env_file(NAME.encode("utf-16-le")),
    "UTF-32": _env_file(NAME.encode("utf-32")),
    "NUL": _env_file(b"HELPDESK_USER=x\0y\n"),
    "half a character": _env_file("HELPDESK_USER=ö".encode()[:-1]),
    "a folder": _env_folder,
    "unreadable": _env_forbidden,
}


def full_disk(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    """Let temporary files be on a device that has no room."""

    def open_full(*_: Any, **__: Any) -> IO[bytes]:
        return open("/dev/full", "r+b")  # noqa: PTH123 - in place of a builtin

    monkeypatch.setattr(tempfile, "TemporaryFile", open_full)


def no_temporary_folder(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    """Let no folder take temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
