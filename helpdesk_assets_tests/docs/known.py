"""What exists: settings, tables, columns, assets, checks, jobs, and every word of the sources."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from helpdesk_assets.definitions import defs
from helpdesk_assets.defs.alerts.sensor import SENSOR_NAME
from helpdesk_assets.settings import Settings
from helpdesk_assets.warehouse import tables
from helpdesk_assets.warehouse.statements import history_view, live_view
from helpdesk_assets.warehouse.table_spec import TableSpec
from helpdesk_assets_tests.docs.texts import MODULES, PACKAGE, ROOT

_WORD = re.compile(r"\w+")


@cache
def settings() -> frozenset[str]:
    """In capitals, as people set them."""
    return frozenset(name.upper() for name in Settings.model_fields)


@cache
def _specs() -> tuple[TableSpec, ...]:
    return tuple(spec for spec in vars(tables).values() if isinstance(spec, TableSpec))


@cache
def relations() -> frozenset[str]:
    """Tables and views."""
    return frozenset({spec.name for spec in _specs()} | {history_view.NAME, live_view.NAME})


@cache
def columns() -> frozenset[str]:
    history = {"valid_from", "valid_to"}
    return frozenset({column.name for spec in _specs() for column in spec.columns} | history)


@cache
def assets() -> frozenset[str]:
    keys = defs.resolve_asset_graph().get_all_asset_keys()
    return frozenset(key.to_user_string() for key in keys)


@cache
def checks() -> frozenset[str]:
    return frozenset(key.name for key in defs.resolve_asset_graph().asset_check_keys)


@cache
def jobs() -> frozenset[str]:
    return frozenset(job.name for job in defs.resolve_all_job_defs())


@cache
def schedules() -> frozenset[str]:
    return frozenset(schedule.name for schedule in defs.schedules or ())


@cache
def sensors() -> frozenset[str]:
    return frozenset({SENSOR_NAME})


@cache
def pools() -> frozenset[str]:
    graph = defs.resolve_asset_graph()
    return frozenset(
        pool for key in graph.get_all_asset_keys() for pool in graph.get(key).pools or ()
    )


@cache
def source_words() -> frozenset[str]:
    """Every word in package, tests, benchmarks and deployment, but for the tests of texts."""
    here = Path(__file__).parent
    files = [
        path
        for folder in (PACKAGE, ROOT / "helpdesk_assets_tests", ROOT / "bench", ROOT / "deploy")
        for path in folder.rglob("*")
        if path.suffix in (".py", ".yaml", ".sh", ".scrip", ".go", ".pl")
        and here not in path.parents
    ]
    return frozenset(word for path in files for word in _WORD.findall(path.read_text()))


@cache
def definitions() -> dict[str, frozenset[str]]:
    """By module, without the package's name: functions, classes, constants and `Class.name`."""
    return {_module_name(path): _defined(ast.parse(path.read_text()).body) for path in MODULES}


def _module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _defined(body: list[ast.stmt], prefix: str = "") -> frozenset[str]:
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(prefix + node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {prefix + node.name} | _defined(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign):
            names |= {prefix + t.id for t in node.targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(prefix + node.target.id)
    return frozenset(names)


@cache
def constants() -> frozenset[str]:
    """In capitals, at the top of a module."""
    return frozenset(name for names in definitions().values() for name in names if name.isupper())


def defines(name: str) -> bool:
    """Whether `name` is a folder or module of the package, or `module.something` in one."""
    modules = definitions()
    if name in modules:
        return True
    parts = name.split(".")
    splits = ((".".join(parts[:i]), ".".join(parts[i:])) for i in range(len(parts) - 1, 0, -1))
    return any(rest in modules.get(module, ()) for module, rest in splits)


@cache
def names() -> frozenset[str]:
    """What a page may name without its module: what users see, and parameters and fields."""
    public = (settings(), relations(), columns(), assets(), checks(), jobs(), schedules(), pools())
    return frozenset().union(*public) | _parameters()


@cache
def _parameters() -> frozenset[str]:
    found: set[str] = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return frozenset(found)
