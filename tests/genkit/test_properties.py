"""The house style of the package, as far as a machine can read it."""

import ast
import importlib
import inspect
import pkgutil
import re
from functools import cache
from pathlib import Path

import pytest

import genkit

MODULES = [m.name for m in pkgutil.iter_modules(genkit.__path__)]


def source(name):
    return Path(genkit.__path__[0], f"{name}.py").read_text(encoding="utf-8")


@cache
def tree(name):
    return ast.parse(source(name))


@cache
def helpers(name):
    """Private functions of all modules by name; the module's own come last, so that they win."""
    return {
        n.name: n
        for m in [*MODULES, name]
        for n in ast.walk(tree(m))
        if isinstance(n, ast.FunctionDef) and n.name.startswith("_")
    }


def functions(name):
    """Public functions of a module, as syntax trees."""
    return [n for n in tree(name).body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]


EVERY = [pytest.param(m, f, id=f"{m}.{f.name}") for m in MODULES for f in functions(m)]


def raised(name, function):
    """Names of the exceptions that a function raises itself or through private helpers of its package."""
    found, todo, seen = set(), [function], set()
    while todo:
        for node in ast.walk(todo.pop()):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                found.add(ast.unparse(node.exc.func))
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in helpers(name)
            ):
                if node.func.id not in seen:
                    seen.add(node.func.id)
                    todo.append(helpers(name)[node.func.id])
    return found


@pytest.mark.parametrize("name", MODULES)
def test_all_names_what_is_public(name):
    module = importlib.import_module(f"genkit.{name}")
    public = {
        n.name
        for n in tree(name).body
        if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")
    }
    assert public <= set(module.__all__), f"not in __all__: {sorted(public - set(module.__all__))}"
    assert list(module.__all__) == sorted(set(module.__all__)), "__all__ is not sorted or holds a name twice"
    assert all(hasattr(module, n) for n in module.__all__)
    assert inspect.getdoc(module), "no docstring"


@pytest.mark.parametrize(("name", "function"), EVERY)
def test_documented(name, function):
    doc = ast.get_docstring(function) or ""
    assert doc, "no docstring"
    first = doc.split("\n\n")[0]
    assert first.rstrip("`").endswith("."), "the docstring does not start with a sentence"
    for argument in ast.walk(function.args):
        if isinstance(argument, ast.arg) and argument is not function.args.kwarg:
            assert re.search(rf"\b{argument.arg}\b", doc), f"the docstring does not name {argument.arg}"
    for exception in raised(name, function):
        assert re.search(rf"Raises\n------\n(.*\n)*{exception}\n", doc + "\n"), (
            f"the docstring does not say that it raises {exception}"
        )


@pytest.mark.parametrize(("name", "function"), EVERY)
def test_typed(name, function):
    arguments = [a for a in ast.walk(function.args) if isinstance(a, ast.arg)]
    untyped = [a.arg for a in arguments if a.annotation is None]
    assert not untyped, f"no type hint: {untyped}"
    assert function.returns is not None, "no type hint of the result"


@pytest.mark.parametrize("name", MODULES)
def test_no_asserts_globals_or_star_imports(name):
    for node in ast.walk(tree(name)):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: assert is not for users' mistakes"
        assert not isinstance(node, ast.Global), f"line {node.lineno}: global state"
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name != "*" for alias in node.names), f"line {node.lineno}: star import"


# `checks` exists to print
@pytest.mark.parametrize("name", [m for m in MODULES if m != "checks"])
def test_no_prints(name):
    calls = [n for n in ast.walk(tree(name)) if isinstance(n, ast.Call)]
    assert not [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]


@pytest.mark.parametrize("name", MODULES)
def test_small_enough_to_read(name):
    """What is read in one sitting: docstrings and comments apart."""
    lines = source(name).splitlines()
    prose = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            prose |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code = [
        s for i, s in enumerate(lines, 1) if i not in prose and s.strip() and not s.strip().startswith("#")
    ]
    assert len(code) <= 180


@pytest.mark.parametrize("name", MODULES)
def test_bad_input_is_tested(name):
    """Every public function that raises ValueError is called in its module's test of bad input."""
    test = Path(__file__).with_name(f"test_{name}.py").read_text(encoding="utf-8")
    for function in functions(name):
        if "ValueError" in raised(name, function):
            assert f"{function.name}(" in test, f"{function.name} has no test"
