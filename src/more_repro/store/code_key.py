"""The code that a result depends on: the import closure of a module, read from source without running it.

DVC knows nothing of imports, and neither does a folder of finished results: both are given the digest of a closure.
"""

import ast
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from more_repro.registry import modules_in

# A module that names a file beside it in a string ("printed_numbers.yaml") reads that file.
_FILE_NAME = re.compile(r"^[\w./-]+\.(?:ya?ml|json|txt|csv|css|html|j2)$")

# "package.module", or "package.module:function" as workers are given it.
_MODULE_NAME = re.compile(r"^([a-z_]\w*(?:\.\w+)+)(?::\w+)?$")

PACKAGE = Path(__file__).resolve().parents[1]

# Code that changes no number of a result whose inputs are in its name: how params and tables are read, what schemes are
# called, where files lie, how results are kept (a resumed training ends as an unbroken one: tested), progress.
CHANGES_NO_NUMBER = tuple(
    f"more_repro.{name}" for name in ("params", "paths", "progress", "registry", "schemes", "store", "tables")
)


@functools.cache
def code_key(*modules: str, without: tuple[str, ...] = ()) -> str:
    """Digest of what modules of this package, each by its dotted name, and all that they may import do.

    without: modules, or packages with all their modules, that change no result, such as progress lines; they are left
    out, and what is imported by them alone. Read once in a process: what runs is what was loaded. A comment or a
    docstring changes nothing. Raises ValueError for a module that the package lacks.
    """
    files = frozenset().union(*(import_closure(module_file(name), PACKAGE, without) for name in modules))
    return code_digest(files)


def module_file(module: str) -> Path:
    """The file of a module of this package. Raises ValueError where there is none."""
    base = PACKAGE.parent.joinpath(*module.split("."))
    for path in (base / "__init__.py", base.with_name(base.name + ".py")):
        if path.is_file():
            return path
    raise ValueError(f"{PACKAGE} holds no module {module}")


def import_closure(code: str | Path, package_root: Path, without: Iterable[str] = ()) -> frozenset[Path]:
    """Files of a package that `code` may load: modules, every `__init__` on the way, data files a module names.

    code: source text, or the path of a Python file (itself in the result when it lies in the package).
    package_root: folder of the package, such as src/more_repro; its name is the package's name.
    Imports inside functions count, and so does `importlib.import_module` of a literal name. `Registry("pkg.folder")`
    counts as an import of every module of that folder. Imports under `if TYPE_CHECKING:` count too: one edge too many
    re-runs a stage, one too few hides a change.
    without: dotted names of modules, or of packages with all their modules, that are not followed and left out.
    Raises SyntaxError for code that does not parse; ValueError for an import of a module that the package lacks, and
    for a Registry of anything but a literal name.
    """
    finder = _Finder(package_root, frozenset(without))
    if isinstance(code, Path):
        finder.visit_file(code)
    else:
        finder.visit_code(code, module="__main__", is_package=False)
    return frozenset(finder.found)


def code_digest(modules: Iterable[Path]) -> str:
    """SHA-256 over what the files do: the syntax tree of a module without its prose, the bytes of other files.

    A comment, a docstring, a text given as `description=` or a blank line changes nothing. File names count, folders
    above the package do not.
    """
    lines = [f"{name} {digest}" for name, digest in module_digests(modules).items()]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def module_digests(modules: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of what each file does, under its name in the package, sorted; see `code_digest`. Inert files are left
    out."""
    digests = {}
    for path in modules:
        if path.suffix != ".py":
            digests[_name_in_package(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not is_inert(path):
            digests[_name_in_package(path)] = _syntax_digest(path.read_text(encoding="utf-8"))
    return dict(sorted(digests.items()))


@functools.cache
def _syntax_digest(source: str) -> str:
    """SHA-256 of a module's syntax tree without its prose. Kept: most modules lie in the closures of many."""
    return hashlib.sha256(ast.dump(_without_prose(ast.parse(source))).encode()).hexdigest()


def is_inert(path: Path) -> bool:
    """Whether a file can change no result: an `__init__.py` with nothing but a docstring and names like __version__."""
    if path.name != "__init__.py":
        return False
    body = _without_docstrings(ast.parse(path.read_text(encoding="utf-8"))).body
    return all(isinstance(node, ast.Pass) or _assigns_dunder(node) for node in body)


def _assigns_dunder(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
        return False
    return all(isinstance(target, ast.Name) and target.id.startswith("__") for target in node.targets)


def _name_in_package(path: Path) -> str:
    """`more_repro/reward/grid.py`: the path from the topmost folder that is a package."""
    top = path.parent
    while (top.parent / "__init__.py").exists():
        top = top.parent
    return path.relative_to(top.parent).as_posix()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and _text(first.value) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return tree


def _text(node: ast.AST) -> str | None:
    """The string that a node is, if it is one."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _without_prose(tree: ast.Module) -> ast.Module:
    """Without docstrings, and without the texts that describe a column or a command to its reader."""
    for node in ast.walk(_without_docstrings(tree)):
        if isinstance(node, ast.Call):
            node.keywords = [each for each in node.keywords if each.arg != "description" or _text(each.value) is None]
    return tree


class _Finder:
    def __init__(self, package_root: Path, without: frozenset[str]) -> None:
        self.root, self.without = package_root, without
        self.package = package_root.name
        self.found: set[Path] = set()

    def visit_file(self, path: Path) -> None:
        if path in self.found:
            return
        inside = path.is_relative_to(self.root)
        module = ".".join(path.relative_to(self.root.parent).with_suffix("").parts) if inside else "__main__"
        if inside:
            self.found.add(path)
            self._add_parents(module)
        is_package = path.name == "__init__.py"
        self.visit_code(
            path.read_text(encoding="utf-8"), module.removesuffix(".__init__"), is_package, beside=path.parent
        )

    def visit_code(self, code: str, module: str, is_package: bool, beside: Path | None = None) -> None:
        imports, registries, files = _named(code, module, is_package)
        for name, must_exist in imports:
            if name.split(".")[0] == self.package:
                self._add_module(name, must_exist, importer=module)
        for name in registries:
            folder = self.root.parent.joinpath(*name.split("."))
            for one in modules_in(folder) if name.split(".")[0] == self.package else ():
                self._add_module(f"{name}.{one}", must_exist=True, importer=module)
        if beside is not None:
            self.found.update(path for path in map(beside.joinpath, files) if path.is_file())

    def _add_module(self, name: str, must_exist: bool, importer: str) -> None:
        if self._left_out(name):
            return
        path = self._file_of(name)
        if path is None:
            if must_exist:
                raise ValueError(f"{importer} imports {name}, and {self.root} holds no such module")
            return
        self._add_parents(name)
        self.visit_file(path)

    def _add_parents(self, name: str) -> None:
        parts = name.split(".")
        for depth in range(1, len(parts)):
            parent = ".".join(parts[:depth])
            path = None if self._left_out(parent) else self._file_of(parent)
            if path is not None:
                self.visit_file(path)

    def _left_out(self, name: str) -> bool:
        return any(name == one or name.startswith(f"{one}.") for one in self.without)

    def _file_of(self, name: str) -> Path | None:
        base = self.root.parent.joinpath(*name.split("."))
        for path in (base / "__init__.py", base.with_name(base.name + ".py")):
            if path.is_file():
                return path
        return None


@functools.cache
def _named(code: str, module: str, is_package: bool) -> tuple[list[tuple[str, bool]], list[str], list[str]]:
    """What `_imported` and `_registries` find, and every string that looks like a file's name."""
    tree = _without_docstrings(ast.parse(code))
    strings = (_text(node) for node in ast.walk(tree))
    files = [text for text in strings if text and _FILE_NAME.match(text)]
    return list(_imported(tree, module, is_package)), list(_registries(tree, module)), files


def _imported(tree: ast.Module, module: str, is_package: bool) -> Iterator[tuple[str, bool]]:
    """(dotted name, whether it must be a module) of every import, import_module call, and string that may name one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, True) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package)
            yield base, True
            # `from package import x`: x is a module or a name that the package defines.
            yield from ((f"{base}.{alias.name}", False) for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            if (name := _literal_argument(node)) is not None:
                yield name, True
        elif (text := _text(node)) and (named := _MODULE_NAME.match(text)):
            # Imported on demand by its name, as by a worker process.
            yield named[1], False


def _registries(tree: ast.Module, module: str) -> Iterator[str]:
    """Dotted names of the packages whose folders a module loads from by name: every file there may run."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) == "Registry":
            name = _literal_argument(node)
            if name is None:
                raise ValueError(f"{module}: Registry takes its package as a literal, or its files cannot be followed")
            yield name


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
    return ".".join([*parts, node.module] if node.module else parts)


def _called(node: ast.Call) -> str:
    """Name of the function that is called, whatever it is an attribute of."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else str(getattr(function, "id", ""))


def _literal_argument(node: ast.Call) -> str | None:
    """The first argument, if it is a text."""
    return _text(node.args[0]) if node.args else None
