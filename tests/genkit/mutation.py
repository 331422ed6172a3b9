"""Break one formula of a module on purpose, so that a test can show that it would notice."""

from types import ModuleType

import pytest


def mutant(module: ModuleType, old: str, new: str) -> ModuleType:
    """A copy of `module` whose source has `new` where it had `old`, which must stand there exactly once."""
    with open(str(module.__file__), encoding="utf-8") as f:
        source = f.read()
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {module.__name__}, not once"
    broken = ModuleType(module.__name__)
    exec(compile(source.replace(old, new), f"<mutant of {module.__name__}>", "exec"), broken.__dict__)
    return broken


def must_fail(check, module: ModuleType, old: str, new: str) -> None:
    """The check, which passes on the module itself, fails on its mutant, or the mutant stumbles."""
    broken = mutant(module, old, new)
    with pytest.raises((AssertionError, IndexError, RuntimeError)):
        check(broken)
