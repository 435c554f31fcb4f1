"""The examples do what they say, on every Lua."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from luagauge import LuaEngine, MemoryLimitExceeded, ScriptConfig

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.lua"))
# What each example's own command line ends with.
EXIT_CODES = {"memory_hog.lua": 4}


def context_of(name: str) -> dict[str, Any]:
    """Return an example's context."""
    context: dict[str, Any] = json.loads((EXAMPLES / "data" / name).read_text(encoding="utf-8"))
    return context


def test_word_count_counts_what_python_counts(lua: str) -> None:
    """The words of the text in the repository are counted as Python counts them."""
    context = context_of("word_count_context.json")
    text = (EXAMPLES / "data" / "constitution.txt").read_text(encoding="ascii")
    assert context["request"]["text"] == text
    words = re.findall(r"[a-z][a-z'-]*", text.lower())
    with LuaEngine(ScriptConfig(lua=lua)) as engine:
        source = (EXAMPLES / "word_count.lua").read_bytes()
        output = engine.execute_script(source, context).raise_for_error().output
    counts = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))
    assert output["words"] == len(words)
    assert output["distinct"] == len(counts)
    assert output["lines"] == text.count("\n")
    assert len(output["longest"]) == max(map(len, words))
    assert [(item["word"], item["count"]) for item in output["frequent"]] == counts[:10]


def test_validation_finds_the_broken_rules(lua: str) -> None:
    """Exactly the three rules that the response breaks are reported, and a mended response breaks none."""
    source = (EXAMPLES / "validate_response.lua").read_bytes()
    context = context_of("validate_context.json")
    with LuaEngine(ScriptConfig(lua=lua)) as engine:
        output = engine.execute_script(source, context).raise_for_error().output
        body = context["response"]["body"]
        assert output["valid"] is False
        assert [failure["path"] for failure in output["failures"]] == [
            "response.body.customer.email",
            "response.body.lines[2].sku",
            "response.body.total",
        ]
        body["customer"]["email"] = "ada.king@example.org"
        body["lines"][1]["sku"] = "LG-0017"
        body["total"] = sum(line["count"] * line["price"] for line in body["lines"])
        output = engine.execute_script(source, context).raise_for_error().output
    assert output["valid"] is True
    assert output["failures"] == []


def test_memory_hog_is_stopped_at_its_limit(lua: str) -> None:
    """The hog reaches its limit and no further, and the engine is none the worse for it."""
    with LuaEngine(ScriptConfig(lua=lua, memory_limit_mb=4, timeout_ms=60_000)) as engine:
        result = engine.execute_script((EXAMPLES / "memory_hog.lua").read_bytes())
        assert isinstance(result.error, MemoryLimitExceeded)
        assert result.memory_used_mb is not None
        assert 3.9 < result.memory_used_mb <= 4
        assert [entry.message for entry in result.logs] == [f"about {n + 1} MB so far" for n in range(len(result.logs))]
        assert 2 <= len(result.logs) <= 4
        assert engine.stats().live_bytes < 1 << 20
        assert engine.execute_script("return 1").output == 1


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_example_command_works_as_written(script: Path) -> None:
    """The command in the head of each example runs from the top of the tree and ends as it should."""
    match = re.search(r"^--   luagauge (.+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert match is not None, f"{script.name} does not say how to run it"
    done = subprocess.run(
        [sys.executable, "-m", "luagauge", *shlex.split(match[1])], cwd=ROOT, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == EXIT_CODES.get(script.name, 0), done.stderr


@pytest.mark.real_malloc
@pytest.mark.skipif(sys.platform != "linux", reason="figures.md shows Linux's RSS; other systems count pages otherwise")
def test_rss_is_noise_shows_what_the_figures_page_says() -> None:
    """RSS before and after is wildly off where luagauge is within 2 % of the known size."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "rss_is_noise.py")], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + 16 + 2
    ranges = [re.findall(r"[+-]\d+\.\d+", line) for line in lines[-2:]]
    (rss_low, rss_high), (low, high) = ([float(text) for text in found] for found in ranges)
    assert -2 < low <= high < 2
    assert rss_low <= -100 or rss_high >= 100
    off = [float(figure) for line in lines[1:-2] for figure in re.findall(r"([+-][\d.]+) %", line)[:1]]
    assert sum(abs(figure) > 90 for figure in off) >= 8
