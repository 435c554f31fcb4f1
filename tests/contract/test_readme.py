"""README.md, the pages in docs/ and their sisters keep their word: code runs; commands, names and links are there."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import doctest
import io
import json
import re
import shlex
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from checks.steps import STEPS
from click.testing import CliRunner

import luagauge
from luagauge import _finder
from luagauge.cli.commands import commands

ROOT = Path(__file__).parents[2]
# What users read: the first ten minutes, and a page for each question after them.
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
DOCUMENTS = (*PAGES, "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")
NAMES = re.compile(r"`([A-Za-z_][\w.]*)(?:\(([\w, ]*)\))?`")
MAX_COLUMNS = 100


def text_of(document: str) -> str:
    """Return the text of a document."""
    return (ROOT / document).read_text(encoding="utf-8")


README = text_of("README.md")
LIMITS = text_of("docs/limits.md")
ALL_PAGES = "\n".join(text_of(page) for page in PAGES)
CODE = [
    pytest.param(match[1], id=f"{page}-{number}")
    for page in PAGES
    for number, match in enumerate(re.finditer(r"^```python\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL))
]


def marked_command(mark: str) -> str:
    """Return the command on the line after a mark, as .ci/run takes it."""
    match = re.search(rf"^<!-- {mark} -->\n {{4}}(\S.*)$", README, re.MULTILINE)
    assert match is not None, f"no command after <!-- {mark} -->"
    return match[1]


def expected_values(source: str) -> list[tuple[ast.Expr, str]]:
    """Return each top-level expression that has a comment after it, with the comment: the value it must have."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {
        token.start[0]: token.string.removeprefix("#").strip() for token in tokens if token.type == tokenize.COMMENT
    }
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    return [(node, comments[node.end_lineno or 0]) for node in statements if node.end_lineno in comments]


SHOW = """
import json
def __show__(place, value):
    print(json.dumps([place, repr(value)]))
    return value
"""


def values_shown(source: str) -> dict[int, str]:
    """Run a block in a process of its own, as a reader would; return the repr of each value that has a comment, by line."""
    tree = ast.parse(source)
    places = {(node.lineno, node.col_offset) for node, _ in expected_values(source)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and (node.lineno, node.col_offset) in places:
            call = ast.parse(f"__show__({node.end_lineno}, None)", mode="eval").body
            assert isinstance(call, ast.Call)
            call.args[1] = node.value
            node.value = call
    program = SHOW + ast.unparse(ast.fix_missing_locations(tree))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("source", CODE)
def test_code_of_pages_runs_and_gives_what_it_says(source: str) -> None:
    """Each block runs by itself, and each expression followed by a comment has the value in the comment."""
    shown = values_shown(source)
    wanted = {node.end_lineno or 0: text for node, text in expected_values(source)}
    assert shown.keys() == wanted.keys()
    matches = doctest.OutputChecker().check_output
    wrong = {
        line: f"{shown[line]} is not {text}"
        for line, text in wanted.items()
        if not matches(f"{text}\n", f"{shown[line]}\n", doctest.ELLIPSIS)  # `...` stands for anything
    }
    assert wrong == {}


def test_code_of_pages_is_mostly_checked() -> None:
    """The comparison above finds something to compare."""
    assert len(CODE) >= 9
    assert sum(len(expected_values(str(block.values[0]))) for block in CODE) >= 16


def test_readme_run_command_does_the_main_job() -> None:
    """What follows the set-up in the marked command runs here, with the installed package."""
    setup, install, main = (part.strip() for part in marked_command("run").split("&&"))
    assert setup == "python3 -m venv .venv"
    assert install == ".venv/bin/pip install '.[cli]'"
    program, *arguments = shlex.split(main)
    assert program == ".venv/bin/luagauge"
    done = subprocess.run(
        [sys.executable, "-m", "luagauge", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "'words': 4366" in done.stdout
    shown = README.split("```text\n")[1].split("```")[0].splitlines()
    names = [line[:13] for line in done.stdout.splitlines()]
    assert names[-len(shown) :] == [line[:13] for line in shown]


def test_readme_test_command_is_the_check() -> None:
    """The marked command is the program that checks, with no step chosen."""
    assert shlex.split(marked_command("test")) == ["python3", "tools/check.py"]
    assert (ROOT / "tools" / "check.py").is_file()


def shell_lines(document: str) -> list[str]:
    """Return the commands in a document's shell blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text_of(document), re.MULTILINE | re.DOTALL)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


SHOWN = sorted({line for page in PAGES for line in shell_lines(page) if line.startswith("luagauge ")})


@pytest.mark.parametrize("line", SHOWN)
def test_commands_of_pages_exist(line: str) -> None:
    """Each command shown has its options, and the files it names are there."""
    command, *arguments = shlex.split(line.split("<", maxsplit=1)[0])[1:]
    usage = CliRunner().invoke(commands, [command, "--help"]).output
    for argument in arguments:
        if argument.startswith("--"):
            assert argument in usage
        elif "/" in argument:
            assert (ROOT / argument).is_file(), argument


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_in_text_exist(document: str) -> None:
    """Programs of this tree that the text says to run are in the tree."""
    text = text_of(document)
    for path in re.findall(r"python3? ([\w/]+\.py)", text):
        assert (ROOT / path).is_file(), path
    for module in re.findall(r"python3? -m (benchmarks\b)", text):
        assert (ROOT / module / "__main__.py").is_file()
    for step in re.findall(r"tools/check\.py ([a-z]+)", text):
        assert step in {"rest", *STEPS}, step


@pytest.mark.parametrize("document", [*DOCUMENTS, "benchmarks/README.md"])
def test_links_lead_somewhere(document: str) -> None:
    """Every link inside the tree leads to a file, and every anchor to a heading."""
    for target in re.findall(r"\]\(([^)#]*(?:#[^)]*)?)\)", text_of(document)):
        path, _, anchor = target.partition("#")
        if path.startswith(("http:", "https:", "mailto:")):
            continue
        there = (ROOT / document).parent / path if path else ROOT / document
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings], (
                target
            )


@pytest.mark.parametrize("page", [page for page in PAGES if page != "README.md"])
def test_page_is_found_and_says_what_it_answers(page: str) -> None:
    """README's table of pages names each page in docs/, and the page begins with what it is for."""
    title, empty, purpose = text_of(page).splitlines()[:3]
    assert title.startswith("# ")
    assert (empty, purpose[:15]) == ("", "This page says ")
    rows = re.findall(r"^\| \[[^\]]+\]\(([^)]+)\) \| .+\? \|$", README.split("## Where to read on\n")[1], re.MULTILINE)
    assert rows.count(page) == 1


@pytest.mark.parametrize("page", PAGES)
def test_page_keeps_its_lines_short(page: str) -> None:
    """No line of prose is longer than a reader's window; tables, code and commands have lines of their own."""
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "    "))]
    assert len(lines) > 20
    assert [line for line in lines if len(line) >= MAX_COLUMNS] == []


def test_names_of_pages_are_the_package_names() -> None:
    """Every error on the pages exists and has the attributes it is shown with."""
    for name, attributes in NAMES.findall(ALL_PAGES):
        if not name.endswith(("Error", "Exceeded", "NotAllowed", "Violation")) or hasattr(builtins, name):
            continue
        kind = getattr(luagauge, name)
        for attribute in filter(None, attributes.replace(" ", "").split(",")):
            assert f"{attribute}:" in (kind.__doc__ or ""), f"{name} does not document {attribute}"


@pytest.mark.parametrize(
    "page, kind", [("docs/limits.md", luagauge.ScriptConfig), ("docs/figures.md", luagauge.ScriptMemory)]
)
def test_page_documents_every_field(page: str, kind: type[luagauge.ScriptConfig | luagauge.ScriptMemory]) -> None:
    """Every setting is in the table of settings, and every figure of a run's memory in the table of figures."""
    named = re.findall(r"`([\w.]+)`", " ".join(re.findall(r"^\|([^|]+)\|", text_of(page), re.MULTILINE)))
    names = {name.removeprefix("memory.") for name in named}
    assert [field.name for field in dataclasses.fields(kind) if field.name not in names] == []


@pytest.mark.parametrize("name", ["memory_limit_mb", "timeout_ms", "cpu_time_ms", "max_instructions"])
def test_defaults_of_the_page_are_the_defaults(name: str) -> None:
    """The table of settings gives the defaults that the code has."""
    row = re.search(rf"^\| `{name}` \| ([^|]+) \|", LIMITS, re.MULTILINE)
    assert row is not None
    assert row[1] == str(getattr(luagauge.ScriptConfig(), name))


def test_readme_defaults_are_the_defaults() -> None:
    """The limits that README says a run has by default are those that it has."""
    match = re.search(r"By default a run may use (\d+) MiB of Lua heap and (\d+) seconds, and return (\d+) MiB", README)
    assert match is not None
    config = luagauge.ScriptConfig()
    given = (config.memory_limit_mb, config.timeout_ms, config.max_output_size)
    assert given == (int(match[1]), int(match[2]) * 1000, int(match[3]) << 20)


def test_exit_codes_of_the_page_are_those_of_the_help() -> None:
    """The table of exit codes says what `luagauge run --help` says."""
    table = re.findall(r"^\| (\d+) \| (.+) \|$", text_of("docs/command-line.md"), re.MULTILINE)
    usage = CliRunner().invoke(commands, ["run", "--help"], terminal_width=200).output
    listed = re.findall(r"^ +(\d+)  (\S.*)$", usage, re.MULTILINE)
    assert [(code, text.replace("`", "")) for code, text in table] == listed


def test_globals_of_the_page_are_what_a_script_finds() -> None:
    """The list of globals is the list a run really has, on every version."""
    page = text_of("docs/sandbox.md")
    match = re.search(r"- Always: `([a-z\s]+)`\n- In the versions that have them: `([a-z0-9\s]+)`", page)
    assert match is not None
    always, sometimes = set(match[1].split()), set(match[2].split())
    source = "local names = {} for name in pairs(_G) do names[#names + 1] = name end return names"
    seen: set[str] = set()
    for lua in [lua for lua, problem in _finder.available().items() if problem is None]:
        with luagauge.LuaEngine(luagauge.ScriptConfig(lua=lua)) as engine:
            names = set(engine.execute_script(source).raise_for_error().output) - {"_G", "_VERSION", "context"}
        assert names - sometimes == always
        seen |= names
    assert sometimes <= seen


def test_documents_say_nothing_unfinished() -> None:
    """No document holds a mark of unfinished work."""
    for document in DOCUMENTS:
        assert not re.search(r"\b(TODO|FIXME|TBD|XXX)\b", text_of(document)), document
