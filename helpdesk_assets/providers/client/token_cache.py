"""Keep an access token between runs and processes, where a vendor issues only a few in a while.

A file in the user's cache folder, for that user's eyes only. It spares requests and nothing depends
on it: one that is absent, broken or cannot be written costs another request. Must not know vendors,
nor how a token is asked for.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import platformdirs
from filelock import FileLock

log = logging.getLogger(__name__)

APP = "helpdesk-assets"
# For the folder, its owner; for the files, its owner and nothing to be run.
FOLDER_MODE, FILE_MODE = 0o700, 0o600


@dataclass(frozen=True, slots=True)
class CachedToken:
    """An access token with its end, and when tokens were asked for; seconds since 1970."""

    token: str = field(default="", repr=False)
    expires_at: float = 0.0
    requested_at: tuple[float, ...] = ()


class TokenCache:
    """One client's note. `folder` None: nothing is kept."""

    def __init__(self, folder: Path | None, *identity: str) -> None:
        """`identity`: all that a token depends on; of it, only a digest is in the file's name."""
        digest = sha256("\0".join(identity).encode()).hexdigest()
        self._path = None if folder is None else folder / f"token-{digest[:40]}.json"
        self._warned = False

    def read(self) -> CachedToken:
        """What is kept; nothing, where it cannot be read."""
        if self._path is None:
            return CachedToken()
        try:
            stored = json.loads(self._path.read_text("utf-8"))
            requested_at = tuple(float(moment) for moment in stored["requested"])
            return CachedToken(str(stored["token"]), float(stored["ends_at"]), requested_at)
        except FileNotFoundError:
            return CachedToken()
        except (OSError, ValueError, TypeError, KeyError) as error:
            self._log_once(error)
            return CachedToken()

    def write(self, cached: CachedToken) -> None:
        """Put it in place of what was kept, so that a reader sees the one or the other, whole."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            self._replace(self._path, _to_json(cached))
        except OSError as error:
            self._log_once(error)

    @contextmanager
    def exclusive(self, seconds: float) -> Iterator[None]:
        """Keep other processes from asking for a token meanwhile, where the system has locks; wait
        for one that does so no longer than `seconds`."""
        lock = self._acquire_lock(seconds)
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def _acquire_lock(self, seconds: float) -> FileLock | None:
        if self._path is None:
            return None
        try:
            self._path.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            lock = FileLock(self._path.with_suffix(".lock"), mode=FILE_MODE, thread_local=False)
            lock.acquire(timeout=seconds)
        except (OSError, NotImplementedError) as error:
            self._log_once(error)
            return None
        return lock

    def _replace(self, path: Path, text: str) -> None:
        # mkstemp makes the file readable by its owner alone, from its first byte on.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _log_once(self, error: Exception) -> None:
        """Once, and without the text of `error`, which may quote what was read."""
        if not self._warned:
            self._warned = True
            log.info(
                "The access token cannot be kept in %s (%s); other runs ask for one of their own.",
                self._path,
                type(error).__name__,
            )


def user_cache_dir() -> Path | None:
    """The cache folder of this user on this system, None where there is no home."""
    try:
        return platformdirs.user_cache_path(APP, appauthor=False)
    except (OSError, RuntimeError):
        return None


def _to_json(cached: CachedToken) -> str:
    return json.dumps(
        {"token": cached.token, "ends_at": cached.expires_at, "requested": cached.requested_at}
    )
