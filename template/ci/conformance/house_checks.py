"""The checks that a platform team adds: one module each in ci/conformance/house/."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import cast

from .model import Check, Finding, Unusable

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "house")
_modules: list[ModuleType] = []


def group(check: str) -> str:
    return check.rpartition("-")[0]


def load(taken: Iterable[str]) -> dict[str, Check]:
    """Import every module; its CHECKS are declared as those of the registry, and its `run` yields findings."""
    found: dict[str, Check] = {}
    groups = {group(check) for check in taken}
    for name in sorted(os.listdir(FOLDER)) if os.path.isdir(FOLDER) else []:
        if not name.endswith(".py"):
            continue
        module = _import(name)
        for check in module.CHECKS:
            if check.id in found or group(check.id) in groups:
                raise Unusable(f"ci/conformance/house/{name}: {check.id} is the id of another check")
            found[check.id] = check
        _modules.append(module)
    return found


def _import(file: str) -> ModuleType:
    """Load a module with the loader of this one, which may be one that reads no bytecode."""
    name = f"conformance.house.{file[:-3]}"
    own = cast(SourceFileLoader, __spec__ and __spec__.loader)
    loader = type(own)(name, os.path.join(FOLDER, file))
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = loader.path
    try:
        loader.exec_module(module)
        _ = module.CHECKS, module.run
    except Exception as error:
        raise Unusable(f"ci/conformance/house/{file}: {type(error).__name__}: {error}") from None
    return module


def run(root: str, not_run: dict[str, str]) -> Iterator[Finding]:
    for module in _modules:
        try:
            yield from module.run(root)
        except ImportError as error:
            # PyYAML, which a check may need.
            not_run.update(dict.fromkeys((check.id for check in module.CHECKS), str(error)))
