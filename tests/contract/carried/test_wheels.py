"""What a wheel must hold of Lua modules, and nothing else."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from carried import targets, wheels
from carried.errors import CarriedError

WINDOWS = targets.Target("windows", "x86_64")


def test_a_wheel_is_for_one_processor() -> None:
    """Its platform's name, as Python has it, tells which."""
    assert targets.of_wheel("macosx-11.0-arm64") == targets.Target("macos", "aarch64")
    assert targets.of_wheel("win-amd64") == WINDOWS
    assert targets.of_wheel("linux-riscv64") is None
    assert targets.of_wheel("win32") is None
    with pytest.raises(CarriedError, match="a universal2 wheel cannot carry LuaJIT"):
        targets.of_wheel("macosx-10.13-universal2")


def make_wheel(folder: Path, tag: str, names: Sequence[str], *, releases: str = "", filler: int = 0) -> Path:
    """Make a file that looks like a wheel."""
    path = folder / f"luagauge-1.0-cp310-abi3-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name in names:
            wheel.writestr(f"luagauge/_luas/{name}", releases if name == "RELEASES" else "")
        wheel.writestr("luagauge/_native.abi3.so", bytes(filler))
    return path


ALL_DLLS = [*(f"luagauge_{lua}.dll" for lua in WINDOWS.luas), "RELEASES", "LICENSES"]


ALL_RELEASES = "".join(f"{lua} Lua 1.0\n" for lua in WINDOWS.luas)


@pytest.mark.parametrize(
    "tag, names",
    [
        ("win_amd64", ALL_DLLS),
        ("win_arm64", ALL_DLLS),
        ("manylinux_2_28_x86_64.manylinux_2_27_x86_64", ["luagauge_luajit21.so", "RELEASES", "LICENSES"]),
        ("musllinux_1_2_aarch64", ["luagauge_luajit21.so", "RELEASES", "LICENSES"]),
        ("linux_x86_64", ["luagauge_luajit21.so", "RELEASES", "LICENSES"]),
        ("macosx_11_0_arm64", ["luagauge_luajit21.dylib", "RELEASES", "LICENSES"]),
        ("linux_riscv64", []),
    ],
)
def test_a_wheel_holds_its_platforms_modules(tmp_path: Path, tag: str, names: list[str]) -> None:
    """Each that is missing is named."""
    luas = WINDOWS.luas if tag.startswith("win") else ("luajit21",)
    releases = "".join(f"{lua} Lua 1.0\n" for lua in luas)
    assert wheels.problems(make_wheel(tmp_path, tag, names, releases=releases)) == []
    for name in names:
        left = [other for other in names if other != name]
        (problem,) = wheels.problems(make_wheel(tmp_path, tag, left, releases=releases))
        assert f"lacks luagauge/_luas/{name}" in problem


def test_a_wheel_holds_nothing_else_and_is_small(tmp_path: Path) -> None:
    """Nor does it list what it lacks."""
    stray = make_wheel(tmp_path, "win_amd64", [*ALL_DLLS, "luagauge_lua54.so"], releases=ALL_RELEASES)
    assert [problem.partition(" holds ")[2] for problem in wheels.problems(stray)] == [
        "luagauge/_luas/luagauge_lua54.so, which it should not"
    ]
    short = make_wheel(tmp_path, "win_amd64", ALL_DLLS, releases="lua54 Lua 5.4.8\n")
    assert [problem.partition(": ")[2] for problem in wheels.problems(short)] == ["RELEASES lists lua54"]
    large = make_wheel(tmp_path, "win_amd64", ALL_DLLS, releases=ALL_RELEASES, filler=4 * 1024 * 1024)
    (problem,) = wheels.problems(large)
    assert "more than 4,194,304" in problem
    carried = make_wheel(tmp_path, "linux_x86_64", ["luagauge_luajit21.so"])
    assert len(wheels.problems(carried, carries=False)) == 1
