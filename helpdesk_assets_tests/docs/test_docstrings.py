"""The sections of docstrings name only parameters, fields and exceptions that exist."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache

import pytest

from helpdesk_assets_tests.docs.texts import MODULES, ROOT

# Exceptions of other packages.
FOREIGN_ERRORS = {"click.BadParameter", "click.ClickException", "click.UsageError"}
_SECTION = re.compile(r"([A-Z]\w+):")
_ENTRY = re.compile(r" {4}([*.\w]+(?:, [*.\w]+)*):(?: |$)")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def problems(source: str) -> Iterator[str]:
    """What a docstring names and is not there, with the line of its function or class."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _Function | ast.ClassDef):
            for section, name in _named(ast.get_docstring(node) or ""):
                if name not in _existing(section, node):
                    yield f"{node.lineno}: {node.name} has no {name} ({section})"


def _named(docstring: str) -> Iterator[tuple[str, str]]:
    """Section and name of each entry; the text of an entry is indented by more."""
    section = ""
    for line in docstring.splitlines():
        if heading := _SECTION.fullmatch(line):
            section = heading[1]
        elif section in ("Args", "Attributes", "Raises") and re.match(r" {4}\S", line):
            entry = _ENTRY.match(line)
            names = entry[1].replace("*", "").split(", ") if entry else [line.strip()]
            yield from ((section, name) for name in names)


def _existing(section: str, node: _Function | ast.ClassDef) -> set[str] | frozenset[str]:
    if section == "Raises":
        return _errors()
    return _fields(node) if isinstance(node, ast.ClassDef) else _parameters(node)


def _parameters(function: _Function) -> set[str]:
    return {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}


def _fields(owner: ast.ClassDef) -> set[str]:
    """What the body declares, its properties, and what its methods set on `self`."""
    methods = [node for node in owner.body if isinstance(node, _Function)]
    declared = [node for node in owner.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    stored = [node for part in (*declared, *methods) for node in ast.walk(part)]
    return {method.name for method in methods} | {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in stored
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store)
    }


@cache
def _errors() -> frozenset[str]:
    """Exceptions of the package, which are those that derive from known ones, and of others."""
    known = FOREIGN_ERRORS | {
        name
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    classes = [
        node
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    while derived := {
        owner.name
        for owner in classes
        if owner.name not in known
        and any(isinstance(base, ast.Name) and base.id in known for base in owner.bases)
    }:
        known |= derived
    return frozenset(known)


def test_docstrings_name_only_what_exists() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{problem}"
        for path in MODULES
        for problem in problems(path.read_text())
    ]
    assert found == []


def test_the_check_reads_the_sections_of_the_package() -> None:
    named = [
        section
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, _Function | ast.ClassDef)
        for section, _ in _named(ast.get_docstring(node) or "")
    ]
    assert min(named.count(section) for section in ("Args", "Attributes", "Raises")) > 100


@pytest.mark.parametrize(
    ("signature", "section", "missing"),
    [
        ("def f(a)", "Args:\n        b: no.", "b (Args)"),
        ("def f(a)", "Args:\n        a, b: no.", "b (Args)"),
        (
            "def f(a)",
            "Args:\n        a: yes,\n            over two lines.\n        b: no.",
            "b (Args)",
        ),
        ("def f(a)", "Args:\n        what a is", "what a is (Args)"),
        ("async def f()", "Raises:\n        TryAgainLater: no.", "TryAgainLater (Raises)"),
        ("def f()", "Raises:\n        ValueError, Gone: no.", "Gone (Raises)"),
        ("def f()", "Raises:\n        Settings: a class, but no exception.", "Settings (Raises)"),
        ("class f", "Attributes:\n        b: no.", "b (Attributes)"),
    ],
)
def test_a_false_name_is_found(signature: str, section: str, missing: str) -> None:
    source = f"{signature}:\n    '''Do it.\n\n    {section}\n    '''\n    a: int = 1"
    assert list(problems(source)) == [f"1: f has no {missing}"]


def test_true_names_pass() -> None:
    source = (
        "class C:\n    '''X.\n\n    Attributes:\n        a: yes.\n        b: yes.\n    '''\n"
        "    a: int\n    def __init__(self, *c, **d):\n        '''X.\n\n        Args:\n"
        "            *c: yes: it is.\n            d: yes.\n\n        Raises:\n"
        "            EndpointFailed, PageOutOfRange, OSError: yes.\n\n        Returns:\n"
        "            Nothing: no name.\n        '''\n        self.b = 1\n"
    )
    assert list(problems(source)) == []
