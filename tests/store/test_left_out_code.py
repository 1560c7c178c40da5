"""The key of code: what a module may import, less what is named as changing no number."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from more_repro.store import code_key as code_keys
from more_repro.store.code_key import code_key, import_closure, module_file

MODULES = {
    "__init__.py": '"""Package."""\n',
    "job.py": "RUN = 'pkg.worker:run'\nfrom pkg import shared, kept\n",
    "worker.py": "def run(job):\n    return job\n",
    "shared.py": "x = 1\n",
    "kept/__init__.py": "from pkg.kept import folder\n",
    "kept/folder.py": "from pkg import only_for_folder\n",
    "only_for_folder.py": "y = 1\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in MODULES.items():
        path = tmp_path / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(code_keys, "PACKAGE", tmp_path / "pkg")
    code_key.cache_clear()
    yield tmp_path / "pkg"
    code_key.cache_clear()


def names(package: Path, without: tuple[str, ...] = ()) -> set[str]:
    found = import_closure(package / "job.py", package, without)
    return {path.relative_to(package).as_posix() for path in found}


def test_a_workers_function_named_in_a_string_is_followed(package: Path) -> None:
    assert names(package) == set(MODULES)


@pytest.mark.parametrize(
    ("without", "gone"),
    [
        ("pkg.worker", {"worker.py"}),
        ("pkg.kept", {"kept/__init__.py", "kept/folder.py", "only_for_folder.py"}),
        ("pkg.kept.folder", {"kept/folder.py", "only_for_folder.py"}),
        ("pkg.only_for_folder", {"only_for_folder.py"}),
        ("pkg.kep", set()),
    ],
)
def test_a_module_or_a_whole_package_may_be_left_out_with_what_it_alone_imports(
    package: Path, without: str, gone: set[str]
) -> None:
    assert names(package, (without,)) == set(MODULES) - gone


def test_the_key_follows_code_and_not_what_is_left_out(package: Path) -> None:
    def key() -> str:
        code_key.cache_clear()
        return code_key("pkg.job", without=("pkg.kept",))

    before = key()
    (package / "only_for_folder.py").write_text("y = 2\n")
    (package / "kept/folder.py").write_text("z = 2\n")
    assert key() == before
    (package / "worker.py").write_text("def run(job):\n    return None\n")
    assert key() != before


def test_a_module_that_is_not_there_is_named(package: Path) -> None:
    assert module_file("pkg.kept") == package / "kept/__init__.py"
    with pytest.raises(ValueError, match=r"holds no module pkg\.nowhere"):
        code_key("pkg.nowhere")


def test_what_changes_no_number_exists() -> None:
    for name in code_keys.CHANGES_NO_NUMBER:
        base = code_keys.PACKAGE.parent.joinpath(*name.split("."))
        assert base.is_dir() or base.with_suffix(".py").is_file(), name
