"""What the pages name exists: files, headings, modules; decisions have numbers, dates and links."""

import ast
import datetime
import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "more_repro"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "own/README.md", ROOT / "bench/README.md"])
DECISIONS = ROOT / "docs" / "decisions.md"
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
DECISION = re.compile(r'- <a id="(\w+)"></a>\*\*([A-Z]\d+)\*\* \((\d{4}-\d{2}-\d{2})\) (.+)')
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    return FENCE.sub("", text_of(page))


def anchors(page: Path) -> set[str]:
    """Ids given in the page, and those that GitHub makes of its headings."""
    text = prose(page)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


def found(dotted: str) -> bool:
    """Whether more_repro.a.b is a package, a module, or a name that its module defines or hands on."""
    path, parts = PACKAGE, dotted.split(".")[1:]
    for number, part in enumerate(parts):
        if (path / part).is_dir():
            path = path / part
            continue
        module = path / f"{part}.py"
        rest = parts[number + 1 :] if module.is_file() else parts[number:]
        code = module if module.is_file() else path / "__init__.py"
        return not rest or (len(rest) == 1 and rest[0] in names(code))
    return True


def names(module: Path) -> set[str]:
    """Names of a module's first level, strings of its tables of lazy names included."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return defined | stored | {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def test_the_pages_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {page.name for page in PAGES}
    assert DECISIONS in PAGES


@every_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(path), f"{page.name}: {target}"


@every_page
def test_modules_that_are_named_exist(page: Path) -> None:
    for dotted in re.findall(r"\bmore_repro(?:\.\w+)+", text_of(page)):
        assert found(dotted), f"{page.name}: {dotted}"


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    """Paths in code spans, from the root of the project or of the package; those with <name> or * stand for many."""
    for path in re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|md|yaml|ipynb|toml))`", prose(page)):
        assert (ROOT / path).exists() or (PACKAGE / path).exists(), f"{page.name}: {path}"


@every_page
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    code = "\n".join([*FENCE.findall(text_of(page)), *re.findall(r"`([^`\n]+)`", prose(page))])
    named = set(re.findall(r"(?:^|&& |; )make ([a-z]+)", code, re.MULTILINE))
    assert named <= targets, f"{page.name}: {sorted(named - targets)}"


def test_a_name_that_is_gone_is_noticed() -> None:
    assert found("more_repro.engine.MoreTrainer")
    assert found("more_repro.engine.weighting.more")
    assert not found("more_repro.engine.weighting.less")
    assert not found("more_repro.gone.module")


def decisions() -> dict[str, list[tuple[str, ...]]]:
    """Of each part: anchor, number, date, text."""
    parts = re.split(r"^## (.+)$", text_of(DECISIONS), flags=re.MULTILINE)[1:]
    lines = {
        title: re.findall(r"^- .+$", body, re.MULTILINE) for title, body in zip(parts[::2], parts[1::2], strict=True)
    }
    matches = {title: [(line, DECISION.fullmatch(line)) for line in items] for title, items in lines.items()}
    missing = [line[:60] for items in matches.values() for line, match in items if match is None]
    assert not missing, f"no anchor, number or date: {missing}"
    return {title: [match.groups() for _, match in items if match] for title, items in matches.items()}


def test_decisions_are_numbered_in_order_under_one_letter_a_part() -> None:
    found = decisions()
    letters = [items[0][1][0] for items in found.values()]
    assert len(set(letters)) == len(letters)
    for letter, items in zip(letters, found.values(), strict=True):
        numbers = [int(number.removeprefix(letter)) for _, number, _, _ in items]
        assert all(before < after for before, after in pairwise(numbers)), letter
        assert all(anchor == number.lower() for anchor, number, _, _ in items), letter


def test_decisions_have_a_date_and_a_link() -> None:
    for _, number, date, text in (item for items in decisions().values() for item in items):
        assert datetime.date.fromisoformat(date), number
        assert "](../" in text, f"{number} links to no module or test"


def test_code_and_params_cite_decisions_that_exist() -> None:
    known = {number for items in decisions().values() for _, number, _, _ in items}
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "params").glob("*.yaml"), ROOT / "params.yaml", ROOT / "dvc.yaml"]
    for file in files:
        for cited in re.findall(r"docs/decisions\.md(.{0,6})", text_of(file)):
            match = re.match(r", ([A-Z]\d+)", cited)
            assert match, f"{file}: a decision without its number"
            assert match[1] in known, f"{file}: {match[1]}"
