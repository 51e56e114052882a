"""A token in a file: readable by its owner only, written atomically, and never required."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from helpdesk_assets.providers.base import DoctorWarning
from helpdesk_assets.providers.client.token_cache import (
    CachedToken,
    TokenCache,
    describe_cache,
    user_cache_dir,
)
from helpdesk_assets.settings import Settings

NOTED = CachedToken("t0ken", 2000.5, (1000.0, 1001.25))


def test_stored_token_is_read_by_the_same_client(tmp_path: Path) -> None:
    TokenCache(tmp_path, "accounts", "client", "refresh").write(NOTED)
    assert TokenCache(tmp_path, "accounts", "client", "refresh").read() == NOTED
    assert TokenCache(tmp_path, "accounts", "client", "other").read() == CachedToken()
    assert TokenCache(tmp_path, "accounts", "clientr", "efresh").read() == CachedToken()


def test_another_secret_gets_the_count_and_no_token(tmp_path: Path) -> None:
    TokenCache(tmp_path, "client", secret="right").write(NOTED)
    assert TokenCache(tmp_path, "client", secret="wrong").read() == CachedToken(
        requested_at=NOTED.requested_at
    )
    assert TokenCache(tmp_path, "client", secret="right").read() == NOTED
    (file,) = tmp_path.iterdir()
    assert "right" not in file.name + file.read_text()


@pytest.mark.parametrize("folder", ["taken", "taken/folder", "long" * 100])
def test_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, folder: str) -> None:
    (tmp_path / "taken").write_text("")
    named = Settings.model_validate({"helpdesk_token_cache": str(tmp_path / folder)})
    told = describe_cache(named, "Ten are issued.")
    assert isinstance(told, DoctorWarning)
    assert "each run requests a new token. Ten are issued. Name another folder" in told


def test_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "new" / "folder"):
        told = describe_cache(Settings.model_validate({"helpdesk_token_cache": str(folder)}))
        assert (told, isinstance(told, DoctorWarning)) == (str(folder), False)
    assert list(tmp_path.iterdir()) == []


def test_names_and_repr_reveal_neither_client_nor_token(tmp_path: Path) -> None:
    TokenCache(tmp_path, "https://accounts.example", "cl1ent", "r3fresh").write(NOTED)
    (file,) = tmp_path.iterdir()
    assert "cl1ent" not in file.name
    assert "r3fresh" not in file.name + file.read_text()
    assert "t0ken" not in repr(NOTED)


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_only_the_owner_may_read_it(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        cache = TokenCache(tmp_path / "new" / "folder", "client")
        with cache.exclusive(1.0):
            cache.write(NOTED)
            cache.write(NOTED)
    finally:
        os.umask(before)
    modes = {path.name[-5:]: stat.S_IMODE(path.stat().st_mode) for path in cache_files(tmp_path)}
    assert modes == {".json": 0o600, ".lock": 0o600}
    assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700


def own_messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return log messages without those of threads of other tests' libraries."""
    return [
        record.getMessage() for record in caplog.records if record.name == TokenCache.__module__
    ]


def cache_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"token": "t0ken"}',
        '{"token": "t0ken", "ends_at": "soon", "requested": []}',
        '{"token": "t0ken", "ends_at": 1, "requested": 5}',
        '{"token": "t0ken", "ends_at": 1, "requested": []}',
        "\udcff",
    ],
)
def test_broken_file_counts_as_empty_and_is_replaced(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    TokenCache(tmp_path, "client").write(NOTED)
    (file,) = tmp_path.iterdir()
    file.write_text(text, errors="surrogateescape")
    cache = TokenCache(tmp_path, "client")
    assert [cache.read(), cache.read()] == [CachedToken(), CachedToken()]
    assert len(own_messages(caplog)) == 1
    assert "t0ken" not in caplog.text
    cache.write(NOTED)
    assert cache.read() == NOTED


def test_uncreatable_folder_is_not_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Root can write everywhere, so a file blocks the folder's path."""
    caplog.set_level(logging.INFO)
    (tmp_path / "taken").write_text("")
    cache = TokenCache(tmp_path / "taken" / "folder", "client")
    with cache.exclusive(1.0):
        cache.write(NOTED)
        assert cache.read() == CachedToken()
    assert len(caplog.messages) == 1
    assert "cannot be cached in" in caplog.text
    assert "t0ken" not in caplog.text


def test_failed_write_keeps_the_old_file_without_leftovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = TokenCache(tmp_path, "client")
    cache.write(NOTED)

    def fail(path: Path, target: Path) -> Path:
        raise OSError("full")

    monkeypatch.setattr(Path, "replace", fail)
    cache.write(CachedToken("other", 1.0, ()))
    assert cache.read() == NOTED
    assert len(list(tmp_path.iterdir())) == 1


def test_without_a_folder_nothing_is_stored() -> None:
    cache = TokenCache(None, "client")
    with cache.exclusive(1.0):
        cache.write(NOTED)
    assert cache.read() == CachedToken()


def test_exclusive_access_with_a_bounded_wait(tmp_path: Path) -> None:
    """The lock is held by another process, or by one that hangs."""
    held, order = threading.Event(), []

    def hold() -> None:
        with TokenCache(tmp_path, "client").exclusive(5.0):
            held.set()
            go_on.wait(5.0)
            order.append("first")

    go_on = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5.0)
    with TokenCache(tmp_path, "client").exclusive(0.01):
        order.append("tired of waiting")
    go_on.set()
    with TokenCache(tmp_path, "client").exclusive(5.0):
        order.append("second")
    thread.join()
    assert order == ["tired of waiting", "first", "second"]


def test_dead_process_releases_the_lock(tmp_path: Path) -> None:
    TokenCache(tmp_path, "client").write(NOTED)
    (file,) = tmp_path.iterdir()
    lock = file.with_suffix(".lock")
    code = (
        "import os, sys; from filelock import FileLock; "
        "FileLock(sys.argv[1]).acquire(timeout=1); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(lock)], check=True)
    with TokenCache(tmp_path, "client").exclusive(0.0):
        assert not _can_lock(lock)


def _can_lock(path: Path) -> bool:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except OSError:
        return False
    lock.release()
    return True


def test_default_folder_belongs_to_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert user_cache_dir() == tmp_path / "helpdesk-assets"
    assert user_cache_dir() is not None


def test_without_a_home_there_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(*_: object, **__: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("platformdirs.user_cache_path", homeless)
    assert user_cache_dir() is None
