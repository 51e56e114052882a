"""Caches an access token across runs and processes, for vendors that limit how many they issue.

The cache is a file in the user's cache folder that only this user can read. It saves requests, and
nothing depends on it: a missing, broken or unwritable file costs one more token request. Must not
know vendors or how a token is requested.
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

from helpdesk_assets.providers.base import DoctorWarning
from helpdesk_assets.settings import Settings

log = logging.getLogger(__name__)

APP = "helpdesk-assets"
OFF = "off"
# Only the owner may use the folder and read the files.
FOLDER_MODE, FILE_MODE = 0o700, 0o600


@dataclass(frozen=True, slots=True)
class CachedToken:
    """An access token with its expiry and the times of recent token requests.

    Attributes:
        token: the access token, empty if none is cached.
        expires_at: seconds since 1970.
        requested_at: when tokens were requested, in seconds since 1970.
    """

    token: str = field(default="", repr=False)
    expires_at: float = 0.0
    requested_at: tuple[float, ...] = ()


class TokenCache:
    """The cached token of one client."""

    def __init__(self, folder: Path | None, *identity: str, secret: str = "") -> None:
        """Choose the file.

        Args:
            folder: the cache folder; None caches nothing.
            *identity: whose token requests are counted together; the file's name holds only a
                digest.
            secret: what else a token depends on. A token of another secret is not used, but its
                requests count.
        """
        digest = _digest(*identity)
        self._path = None if folder is None else folder / f"token-{digest[:40]}.json"
        self._secret = _digest(*identity, secret)
        self._warned = False

    def read(self) -> CachedToken:
        """Return the cached token, an empty one if there is none or it cannot be read."""
        if self._path is None:
            return CachedToken()
        try:
            stored = json.loads(self._path.read_text("utf-8"))
            requested_at = tuple(float(moment) for moment in stored["requested"])
            if stored["secret"] != self._secret:
                return CachedToken(requested_at=requested_at)
            return CachedToken(str(stored["token"]), float(stored["ends_at"]), requested_at)
        except FileNotFoundError:
            return CachedToken()
        except (OSError, ValueError, TypeError, KeyError) as error:
            self._log_once(error)
            return CachedToken()

    def write(self, cached: CachedToken) -> None:
        """Replace the cached token atomically."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            self._replace(self._path, self._to_json(cached))
        except OSError as error:
            self._log_once(error)

    @contextmanager
    def exclusive(self, seconds: float) -> Iterator[None]:
        """Lock out other processes that request a token, if the system supports locks.

        Args:
            seconds: how long to wait for the lock; after that, continue without it.
        """
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
        # mkstemp creates the file readable by its owner alone.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _to_json(self, cached: CachedToken) -> str:
        return json.dumps(
            {
                "token": cached.token,
                "ends_at": cached.expires_at,
                "requested": cached.requested_at,
                "secret": self._secret,
            }
        )

    def _log_once(self, error: Exception) -> None:
        """Log once, without the text of `error`, which may quote the file."""
        if not self._warned:
            self._warned = True
            log.info(
                "The access token cannot be cached in %s (%s); each run requests a new one.",
                self._path,
                type(error).__name__,
            )


def cache_dir(settings: Settings) -> Path | None:
    """Return the folder that HELPDESK_TOKEN_CACHE names, None if tokens are not cached."""
    folder = settings.helpdesk_token_cache.strip()
    if folder.casefold() == OFF:
        return None
    return Path(folder).expanduser() if folder else user_cache_dir()


def describe_cache(settings: Settings, limit: str = "") -> str:
    """Describe HELPDESK_TOKEN_CACHE for `doctor`; a warning if nothing can be written there.

    Args:
        settings: name the folder.
        limit: how few tokens the vendor issues, as a sentence.
    """
    cost = f"each run requests a new token. {limit}".rstrip()
    folder = cache_dir(settings)
    if folder is None:
        return f"off: {cost}"
    try:
        _try_writing(folder)
    except OSError as error:
        return DoctorWarning(
            f"{folder} cannot be written ({type(error).__name__}): {cost} Name another folder, or "
            "let this user write there."
        )
    return str(folder)


def _try_writing(folder: Path) -> None:
    """Write what leaves nothing behind, into the nearest folder that exists."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    with tempfile.TemporaryFile(dir=there):
        pass


def user_cache_dir() -> Path | None:
    """Return this user's cache folder, None for a user without a home."""
    try:
        return platformdirs.user_cache_path(APP, appauthor=False)
    except (OSError, RuntimeError):
        return None


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()
