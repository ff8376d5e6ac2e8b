"""The package as a whole: its README, its languages, its free-standing import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from conftest import REPOSITORY

import brownout_reporter
from brownout_reporter import _clients

ROOT = Path(__file__).resolve().parents[1]
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_what_the_readme_imports_and_calls_exists(snippet: str) -> None:
    tree = ast.parse(snippet)
    names = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "brownout_reporter"
    ]
    names += [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "brownout_reporter"
        for alias in node.names
    ]
    imports = [
        ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert imports
    if not any("litellm" in line for line in imports):
        assert names
    for name in names:
        assert name in brownout_reporter.__all__


@pytest.mark.parametrize("path", sorted(ROOT.glob("src/**/*.py")), ids=lambda path: path.name)
def test_the_oldest_python_can_read_it(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 9))


@pytest.mark.parametrize("name", ["LICENSE-APACHE", "LICENSE-MIT"])
def test_each_package_brings_the_licences_of_the_repository(name: str) -> None:
    for package in ("python", "typescript"):
        copy = REPOSITORY / "clients" / package / name
        assert copy.read_bytes() == (REPOSITORY / name).read_bytes()


def test_it_imports_nothing_that_is_not_there() -> None:
    script = (
        "import sys; known = set(sys.modules); import brownout_reporter; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - known})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    imported = set(done.stdout.split())
    assert imported - set(sys.stdlib_module_names) == {"brownout_reporter"}


def sdk(name: str, library: str) -> ModuleType:
    module = ModuleType(name)
    client = type("DefaultHttpxClient", (), {"__module__": f"{library}._client"})
    module.DefaultHttpxClient = client  # type: ignore[attr-defined]
    return module


def test_sdks_on_different_libraries_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clients, "_SDKS", ("old_sdk", "new_sdk"))
    monkeypatch.setitem(sys.modules, "old_sdk", sdk("old_sdk", "httpx"))
    monkeypatch.setitem(sys.modules, "new_sdk", sdk("new_sdk", "httpx2"))
    with pytest.raises(ValueError, match="old_sdk uses httpx, new_sdk uses httpx2: say which"):
        brownout_reporter.http_client()
    monkeypatch.setattr(_clients, "_SDKS", ("no_such_sdk",))
    with pytest.raises(ImportError, match="neither anthropic nor openai"):
        brownout_reporter.async_http_client()
