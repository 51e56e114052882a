"""Whether a name that a text gives exists: a setting, table, column, check, asset, job or path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from helpdesk_assets_tests.docs import known
from helpdesk_assets_tests.docs.texts import PACKAGE, ROOT, Snippet

# Variables of other programs that pages name.
OTHERS = {
    "DAGSTER_HOME",
    "DAGSTER_PORT",
    "DAGSTER_IS_DEV_CLI",
    "DAGSTER_DISABLE_TELEMETRY",
    "HTTP_AUTHORIZATION",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "PYTEST_ARGS",
    "CHAOS_STORIES",
    "FUZZ_SECONDS",
}
# Names that vendors and other tools give: of their fields, events, options, and functions of the
# Cloud Function that README compares with.
FOREIGN = {
    "get_last_modified_time",
    "fetch_tickets_incremental",
    "_search_modified_tickets",
    "_list_all_tickets",
    "detect_missed_tickets",
    "upsert_tickets",
    "sync_tickets",
    "Ticket_Add",
    "Ticket_Update",
    "Ticket_Delete",
    "custom_status_id",
    "closed_by_merge",
}
_CAPITALS = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_SNAKE = re.compile(r"_?[A-Za-z][a-z0-9]*(?:_[A-Za-z0-9]+)+|_[a-z]+|[a-z]+(?:[A-Z][a-z]+)+")
_DOTTED_CLASS = re.compile(r"[A-Z][A-Za-z]+\.[a-z_]+")
_PATH = re.compile(r"[\w./-]*(?:/[\w.-]*|\.(?:py|md|yaml|toml|cfg|txt|sh|scrip|go|mod))")
_NAME = re.compile(r"[A-Za-z_]\w*")
_FROM = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE) +`?(?:\w+\.)?([a-z_]+)\b")
_DATASET = re.compile(r"\bhelpdesk_data\.([a-z_]+)")
# A line of a run's configuration: `max_delete_share: 0.2`.
_CONFIG_KEY = re.compile(r"([a-z]+(?:_[a-z]+)+):(?: |$)")
_KINDS: dict[str, Callable[[], frozenset[str]]] = {
    "asset": known.assets,
    "check": known.checks,
    "column": known.columns,
    "job": known.jobs,
    "pool": known.pools,
    "schedule": known.schedules,
    "sensor": known.sensors,
    "setting": known.settings,
    "table": known.relations,
    "view": known.relations,
}
# Made by a run or a set-up: not in a checkout.
_MADE = (".local", ".venv", ".env")
# Google's, which look like paths.
_ROLES = "roles/"
_FOLDERS = (
    ROOT,
    PACKAGE,
    ROOT / "helpdesk_assets_tests",
    ROOT / "docs",
    ROOT / "helpdesk_assets_tests/googlesql",
)


def problems_of_page(snippet: Snippet) -> Iterator[str]:
    """What in this snippet of a page is a name and does not exist."""
    text = snippet.text
    for name in _CAPITALS.findall(text):
        if name not in known.settings() | known.constants() | OTHERS and not _is_sql(text):
            yield f"there is no setting {name}"
    yield from _sql_problems(text)
    if (key := _CONFIG_KEY.match(text)) and key[1] not in known.source_words():
        yield f"nothing is called {key[1]}"
    if snippet.in_block:
        return
    yield from _kind_problems(snippet)
    if _PATH.fullmatch(text) and text[0] != "/":
        yield from path_problems(text)
    elif _DOTTED_CLASS.fullmatch(text):
        if not any(text in names for names in known.definitions().values()):
            yield f"no module defines {text}"
    elif _SNAKE.fullmatch(text) and text not in known.source_words() | FOREIGN:
        yield f"nothing is called {text}"


def problems_of_message(snippet: Snippet) -> Iterator[str]:
    """What in this code span of a docstring or a message names a kind and does not exist."""
    # A message speaks of tables and columns by a variable's name as well.
    if not snippet.before.lower().endswith(("table", "column")):
        yield from _kind_problems(snippet)


def setting_problems(text: str) -> Iterator[str]:
    """Names in this literal that look like ours and are no settings."""
    prefixes = {name.partition("_")[0] for name in known.settings()} - {"SYNC"}
    for name in _CAPITALS.findall(text):
        if name.partition("_")[0] in prefixes and name not in known.settings() | OTHERS:
            yield f"there is no setting {name}"


def is_path(text: str) -> bool:
    return bool(_PATH.fullmatch(text)) or (ROOT / text).exists()


def path_problems(path: str) -> Iterator[str]:
    if not path.startswith((*_MADE, _ROLES)) and not any(
        (folder / path).exists() for folder in _FOLDERS
    ):
        yield f"there is no file {path}"


def _kind_problems(snippet: Snippet) -> Iterator[str]:
    """ "the check `webhook_gaps`": it must be one."""
    kind = snippet.before.split()[-1].lower() if snippet.before else ""
    names = _KINDS.get(kind)
    if names and _NAME.fullmatch(snippet.text) and snippet.text not in names():
        yield f"there is no {kind} {snippet.text}"


def _sql_problems(text: str) -> Iterator[str]:
    if _is_sql(text):
        for name in {*_FROM.findall(text), *_DATASET.findall(text)}:
            if name not in known.relations():
                yield f"there is no table {name}"


def _is_sql(text: str) -> bool:
    return bool(re.search(r"\b(?:SELECT|FROM|DELETE|WHERE|FOR SYSTEM_TIME) ", text))
