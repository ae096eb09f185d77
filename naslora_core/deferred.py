"""Packages of which some modules are wanted, without what their `__init__` imports for the others."""

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


def defer_package(name: str) -> None:
    """Register a package whose `__init__` runs as soon as a name is asked for that it does not have yet.

    Its modules can be imported at once. To everybody else it is as it was: `from name import anything` works before
    and after. Nothing is done where the package was imported already, or is not installed.
    """
    if name in sys.modules or (spec := find_spec(name)) is None or spec.loader is None:
        return
    package, loader = module_from_spec(spec), spec.loader

    def load(attribute: str) -> Any:
        # What Python asks any module for, as `__warningregistry__`, is no use of it.
        if attribute.startswith("__") and attribute != "__all__":
            raise AttributeError(attribute)
        vars(package).pop("__getattr__", None)
        loader.exec_module(package)
        return _attribute(package, attribute)

    vars(package)["__getattr__"] = load
    sys.modules[name] = package


def _attribute(package: ModuleType, name: str) -> Any:
    if name in vars(package):
        return vars(package)[name]
    raise AttributeError(f"module '{package.__name__}' has no attribute '{name}'", name=name, obj=package)
