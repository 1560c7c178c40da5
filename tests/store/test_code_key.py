"""Import closure: which files a piece of code needs, and the key of what they do."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from more_repro.store import code_key as module
from more_repro.store.code_key import code_digest, code_key, import_closure, is_inert, module_file

MODULES = {
    "__init__.py": '"""Package."""\n__version__ = "1"\n',
    "a.py": "from pkg.sub import b\n",
    "alone.py": "x = 1\n",
    "sub/__init__.py": "",
    "sub/b.py": "from . import c\nfrom ..alone import x\n",
    "sub/c.py": "import yaml\nTABLE = 'table.yaml'\n",
    "sub/table.yaml": "a: 1\n",
    "sub/unused.yaml": "a: 1\n",
    "lazy.py": "def f():\n    from pkg import alone\n    return alone\n",
    "named.py": "import importlib\nm = importlib.import_module('pkg.sub.c')\n",
    "ring_one.py": "import pkg.ring_two\n",
    "ring_two.py": "import pkg.ring_one\n",
    "loud/__init__.py": "from pkg import alone\n",
    "loud/quiet.py": "",
    "rules/__init__.py": "from pkg.registry import Registry\nRULES = Registry('pkg.rules', 'rule')\n",
    "rules/first.py": "from pkg.rules.solvers import shared\n",
    "rules/second.py": "x = 2\n",
    "rules/_hidden.py": "x = 3\n",
    "rules/solvers/__init__.py": "",
    "rules/solvers/shared.py": "x = 4\n",
    "rules/solvers/unused.py": "x = 5\n",
    "registry.py": "class Registry: ...\n",
    "names.py": "from pkg.registry import registered\nNAMES = registered('rules')\n",
    "vague.py": "from pkg.registry import Registry\nNAME = 'pkg.rules'\nRULES = Registry(NAME, 'rule')\n",
}
EVERY_RULE = {
    "registry.py",
    *("rules/__init__.py", "rules/first.py", "rules/second.py", "rules/solvers/__init__.py", "rules/solvers/shared.py"),
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        path = tmp_path / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "pkg"


def names(package: Path, code: str | Path) -> set[str]:
    found = {path.relative_to(package).as_posix() for path in import_closure(code, package)}
    assert "__init__.py" in found or not found
    return found - {"__init__.py"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import numpy", set()),
        ("import pkg.alone", {"alone.py"}),
        ("from pkg import alone as other", {"alone.py"}),
        ("from pkg.alone import x", {"alone.py"}),
        ("import pkg.a", {"a.py", "sub/__init__.py", "sub/b.py", "sub/c.py", "sub/table.yaml", "alone.py"}),
        ("from pkg import lazy", {"lazy.py", "alone.py"}),
        ("import pkg.named", {"named.py", "sub/__init__.py", "sub/c.py", "sub/table.yaml"}),
        ("import pkg.ring_one", {"ring_one.py", "ring_two.py"}),
        ("import pkg.loud.quiet", {"loud/__init__.py", "loud/quiet.py", "alone.py"}),
        ("def f():\n    import pkg.alone", {"alone.py"}),
        ("text = 'import pkg.alone'  # import pkg.a", set()),
        ("import pkg.rules", EVERY_RULE),
        ("from pkg import registry\nregistry.Registry('pkg.rules', 'rule')", EVERY_RULE),
        ("from pkg import names", {"names.py", "registry.py"}),
    ],
)
def test_closure_follows_imports_and_only_them(package: Path, code: str, expected: set[str]) -> None:
    assert names(package, code) == expected


def test_closure_of_a_module_holds_the_module(package: Path) -> None:
    assert names(package, package / "lazy.py") == {"lazy.py", "alone.py"}


def test_an_import_of_a_missing_module_is_named(package: Path) -> None:
    with pytest.raises(ValueError, match=r"imports pkg\.gone"):
        import_closure("import pkg.gone", package)


def test_inert_files_are_packages_without_code(package: Path) -> None:
    assert is_inert(package / "__init__.py")
    assert is_inert(package / "sub/__init__.py")
    assert not is_inert(package / "loud/__init__.py")
    assert not is_inert(package / "alone.py")


def test_digest_ignores_prose_and_sees_code(package: Path) -> None:
    modules = import_closure("import pkg.a", package)
    before = code_digest(modules)
    (package / "alone.py").write_text(textwrap.dedent('"""Says something."""\n\n# a comment\nx = 1\n'))
    (package / "__init__.py").write_text('__version__ = "2"\n')
    assert code_digest(modules) == before
    (package / "alone.py").write_text("x = 2\n")
    changed = code_digest(modules)
    assert changed != before
    (package / "alone.py").write_text("x = 1\n")
    (package / "sub/table.yaml").write_text("a: 2\n")
    assert code_digest(modules) not in (before, changed)


def test_digest_ignores_descriptions_and_sees_what_they_describe(package: Path) -> None:
    modules = import_closure("import pkg.alone", package)

    def digest_of(code: str) -> str:
        (package / "alone.py").write_text(code)
        return code_digest(modules)

    before = digest_of("x = Column('int', description='Number of pairs.')\n")
    assert digest_of("x = Column('int', description='How many ' 'pairs there are.')\n") == before
    assert digest_of("x = Column('float', description='Number of pairs.')\n") != before
    assert digest_of("x = Column('int', description=made('Number of pairs.'))\n") != before


def test_digest_does_not_know_where_the_package_lies(package: Path, tmp_path: Path) -> None:
    before = code_digest(import_closure("import pkg.a", package))
    target = tmp_path / "elsewhere" / "pkg"
    target.parent.mkdir()
    assert code_digest(import_closure("import pkg.a", package.rename(target))) == before


@pytest.fixture
def own(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package in place of this one. A key is read once in a process; here it is read afresh."""
    monkeypatch.setattr(module, "PACKAGE", package)
    code_key.cache_clear()
    yield package
    code_key.cache_clear()


def changed_by(package: Path, name: str, *modules: str, without: tuple[str, ...] = ()) -> bool:
    """Whether another statement in a file changes the key."""
    code_key.cache_clear()
    before, text = code_key(*modules, without=without), (package / name).read_text()
    (package / name).write_text(f"{text}other = 1\n")
    code_key.cache_clear()
    after = code_key(*modules, without=without)
    (package / name).write_text(text)
    return before != after


def test_a_key_changes_with_the_module_and_what_it_imports(own: Path) -> None:
    for name in ("a.py", "sub/b.py", "sub/c.py", "sub/table.yaml", "alone.py", "__init__.py"):
        assert changed_by(own, name, "pkg.a"), name
    for name in ("lazy.py", "named.py", "sub/unused.yaml"):
        assert not changed_by(own, name, "pkg.a"), name
    assert code_key("pkg.a") == code_digest(import_closure("import pkg.a", own))


def test_the_key_of_several_modules_is_of_them_all_whatever_their_order(own: Path) -> None:
    assert changed_by(own, "lazy.py", "pkg.sub.c", "pkg.lazy")
    assert changed_by(own, "sub/table.yaml", "pkg.sub.c", "pkg.lazy")
    assert code_key("pkg.sub.c", "pkg.lazy") == code_key("pkg.lazy", "pkg.sub.c") != code_key("pkg.lazy")


def test_modules_that_are_left_out_are_not_followed_either(own: Path) -> None:
    without = ("pkg.sub.c", "pkg.alone")
    for name in ("sub/c.py", "sub/table.yaml", "alone.py"):
        assert not changed_by(own, name, "pkg.a", without=without), name
    assert changed_by(own, "sub/b.py", "pkg.a", without=without)
    # By another way it is still imported.
    assert changed_by(own, "alone.py", "pkg.a", without=("pkg.sub.c",))


def test_a_module_that_the_package_lacks_is_refused(own: Path) -> None:
    assert module_file("pkg.sub") == own / "sub" / "__init__.py"
    assert module_file("pkg.sub.c") == own / "sub" / "c.py"
    with pytest.raises(ValueError, match=r"holds no module pkg\.gone"):
        code_key("pkg.gone")


def test_the_key_of_this_package_is_of_its_source(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    root = module.PACKAGE
    assert root.name == "more_repro"
    assert code_key("more_repro.stats.random") == code_digest([root / "stats" / "random.py"])


def test_a_new_file_in_the_folder_of_a_registry_changes_the_digest_of_who_loads_from_it(package: Path) -> None:
    before, listed = (code_digest(import_closure(f"import pkg.{name}", package)) for name in ("rules", "names"))
    (package / "rules" / "third.py").write_text("x = 6\n")
    assert code_digest(import_closure("import pkg.rules", package)) != before
    assert code_digest(import_closure("import pkg.names", package)) == listed, "names alone are no dependency"


def test_an_edit_of_one_file_in_the_folder_changes_the_digest_of_who_loads_from_it(package: Path) -> None:
    before = code_digest(import_closure("import pkg.rules", package))
    (package / "rules" / "second.py").write_text("x = 7\n")
    assert code_digest(import_closure("import pkg.rules", package)) != before


def test_other_files_of_the_folder_can_be_left_out(package: Path) -> None:
    found = import_closure(package / "rules" / "first.py", package, without=("pkg.rules.second",))
    assert package / "rules" / "second.py" not in found
    assert package / "rules" / "solvers" / "shared.py" in found


def test_a_registry_whose_package_cannot_be_read_from_the_source_is_refused(package: Path) -> None:
    with pytest.raises(ValueError, match=r"pkg\.vague: Registry takes its package as a literal"):
        import_closure("import pkg.vague", package)
