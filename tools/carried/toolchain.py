"""Run compilers: the ones that take gcc's options (gcc, clang, mingw, zig), and MSVC.

Lua's own code is put into a section of its own. For the first kind each file is compiled to assembly, whose text
directives are rewritten; MSVC is told by a header that is forced in. Paths are relative to the directory that the
compiler runs in, so that no name of a directory gets into a module.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from . import msvc
from .errors import CarriedError
from .targets import Format, Target, host

ADDED = Path(__file__).resolve().parents[2] / "csrc" / "carried"
API = ("lua_*", "luaL_*", "luaopen_*", "luaJIT_*", "luagauge_release", "luagauge_text")
"""What a module exports, as linkers' patterns."""
SECTIONS: dict[Format, str] = {"elf": "luatext", "macho": "__TEXT,__luatext", "pe": ".luatext"}
# The directives that stand before functions: `.text`, `.section .text.unlikely,"ax",@progbits`, and on Mach-O
# `.section __TEXT,__text,regular,pure_instructions`. The second group is what follows the section's name.
TEXT_DIRECTIVE = re.compile(
    r"^[ \t]*(?:\.text\b.*|\.section[ \t]+(?:\.text[^\s,]*|__TEXT,__text)(,.*)?)$", re.MULTILINE
)
DEFAULT_FLAGS: dict[Format, str] = {
    "elf": ',"ax",%progbits',
    "macho": ",regular,pure_instructions",
    "pe": ',"xr"',
}


ZIG_SYSTEMS = {"linux": "linux-gnu.2.28", "macos": "macos", "windows": "windows-gnu"}
"""zig's names, with the oldest glibc that wheels run on. For musl the compiler's whole command is given."""
LIBGCC = (
    *(f"_Unwind_{name}" for name in ("RaiseException", "DeleteException", "GetCFA", "GetIP", "SetGR", "SetIP")),
    *("__register_frame", "__deregister_frame"),
)
"""What LuaJIT takes from libgcc's shared library."""


class Toolchain(Protocol):
    """A compiler and a linker for one target."""

    target: Target

    def preprocess(self, source: Path, includes: Sequence[str], defines: Sequence[str]) -> str:
        """Return a file after preprocessing."""
        ...

    def compile_lua(self, source: str, folder: Path, includes: Sequence[str], defines: Sequence[str]) -> Path:
        """Compile a file of a Lua, in its directory; return the object file, whose code is in the named section."""
        ...

    def compile_added(self, source: Path, folder: Path, defines: Sequence[str]) -> Path:
        """Compile a file of ours in the same place; its code stays in the ordinary section."""
        ...

    def assemble_vm(self, buildvm: Path, folder: Path) -> Path:
        """Have LuaJIT's buildvm write its interpreter; return the object file."""
        ...

    def program(self, sources: Sequence[str], folder: Path, name: str, flags: Sequence[str]) -> Path:
        """Make a program that runs here; return its path. Only for the host."""
        ...

    def link(self, objects: Sequence[Path], result: Path) -> None:
        """Link the module."""
        ...


def run(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it prints.

    Raises:
        CarriedError: It is not there, or fails; the message holds what it said.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise CarriedError(f"cannot run {words[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise CarriedError(f"{' '.join(words)}: exit code {done.returncode}\n{said}")
    return done.stdout.decode(errors="replace").replace("\r\n", "\n")


def in_section(assembly: str, form: Format) -> str:
    """Put all code of an assembly file into Lua's section."""

    def replace(match: re.Match[str]) -> str:
        return f"\t.section {SECTIONS[form]}{match[1] or DEFAULT_FLAGS[form]}"

    return TEXT_DIRECTIVE.sub(replace, assembly)


@dataclass(frozen=True, slots=True)
class GnuLike:
    """gcc, clang, mingw's gcc or zig."""

    target: Target
    command: Sequence[str]

    @property
    def is_zig(self) -> bool:
        """Whether it is zig, which links with its own linker and its own libc."""
        return any("zig" in Path(word).name for word in self.command)

    @property
    def base(self) -> list[str]:
        """The command with what names the platform, where the compiler makes code for several."""
        if self.target.format != "macho":
            return [*self.command]
        words = [*self.command, "-arch", "arm64" if self.target.machine == "aarch64" else self.target.machine]
        oldest = sysconfig.get_config_var("MACOSX_DEPLOYMENT_TARGET")
        if oldest and "MACOSX_DEPLOYMENT_TARGET" not in os.environ:  # as setuptools does for extension modules
            words.append(f"-mmacosx-version-min={oldest}")
        return words

    @property
    def flags(self) -> list[str]:
        """What every file is compiled with: as lupa does it, and as LuaJIT's Makefile does."""
        common = ["-O2", "-fwrapv", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-w"]
        if self.is_zig:
            common += ["-fno-sanitize=undefined"]  # zig's default, which traps on what the Luas rely on
        if self.target.format == "pe":
            # The C runtime that CPython and lupa's modules use; mingw's default formats numbers otherwise.
            return [*common, "-D_UCRT"]
        return [*common, "-fPIC", "-funwind-tables"]

    def preprocess(self, source: Path, includes: Sequence[str], defines: Sequence[str]) -> str:
        """Return a file after preprocessing."""
        words = [*self.base, *self.flags, *(f"-I{name}" for name in includes), *(f"-D{name}" for name in defines)]
        return run([*words, "-E", "-P", source.name], source.parent)

    def compile_lua(self, source: str, folder: Path, includes: Sequence[str], defines: Sequence[str]) -> Path:
        """Compile a file of a Lua, in its directory; return the object file, whose code is in the named section."""
        stem = Path(source).stem
        words = [*self.base, *self.flags, *(f"-I{name}" for name in includes), *(f"-D{name}" for name in defines)]
        run([*words, "-S", source, "-o", f"{stem}.s"], folder)
        return self._assemble(folder / f"{stem}.s")

    def compile_added(self, source: Path, folder: Path, defines: Sequence[str]) -> Path:
        """Compile a file of ours in the same place; its code stays in the ordinary section."""
        shutil.copy(source, folder / f"luagauge_{source.name}")
        words = [*self.base, *self.flags, "-I.", *(f"-D{name}" for name in defines)]
        run([*words, "-c", f"luagauge_{source.name}", "-o", "luagauge_added.o"], folder)
        return folder / "luagauge_added.o"

    def assemble_vm(self, buildvm: Path, folder: Path) -> Path:
        """Have LuaJIT's buildvm write its interpreter; return the object file."""
        if self.target.format == "pe":
            return peobj_vm(buildvm, folder)
        run([buildvm, "-m", "elfasm" if self.target.format == "elf" else "machasm", "-o", "lj_vm.s"], folder)
        return self._assemble(folder / "lj_vm.s")

    def _assemble(self, source: Path) -> Path:
        """Move a file's code to the section and assemble it."""
        text = source.read_text(encoding="utf-8", errors="surrogateescape")
        moved = in_section(text, self.target.format)
        source.write_text(moved, encoding="utf-8", errors="surrogateescape", newline="\n")
        run([*self.base, "-c", source.name, "-o", f"{source.stem}.o"], source.parent)
        return source.with_suffix(".o")

    def program(self, sources: Sequence[str], folder: Path, name: str, flags: Sequence[str]) -> Path:
        """Make a program that runs here; return its path. Only for the host."""
        result = folder / (f"{name}.exe" if os.name == "nt" else name)
        libraries = [] if os.name == "nt" else ["-lm"]
        run([*self.base, "-O1", "-w", *flags, *sources, "-o", result.name, *libraries], folder)
        return result

    def _libgcc(self, folder: Path) -> str:
        """Make something to link with that bears the name of libgcc's shared library; return its file name.

        zig would link LLVM's unwinder into the module. It would know nothing of what is registered with the process's
        own, which is libgcc's.
        """
        (folder / "luagauge_libgcc.c").write_text("".join(f"void {name}(void) {{}}\n" for name in LIBGCC))
        name = "libgcc_s.so.1"
        words = [*self.command, "-shared", "-nostdlib", "-w", f"-Wl,-soname,{name}", "-o", name]
        run([*words, "luagauge_libgcc.c"], folder)
        return name

    def link(self, objects: Sequence[Path], result: Path) -> None:
        """Link the module."""
        words = [*self.base, "-shared", "-o", result.name, *(path.name for path in objects)]
        folder = objects[0].parent
        if self.target.format == "elf":
            names = "".join(f"{pattern}; " for pattern in API)
            (folder / "exports.map").write_text(f"{{ global: {names}local: *; }};\n", encoding="ascii")
            words += ["-Wl,--version-script=exports.map", "-Wl,-Bsymbolic", "-Wl,--build-id=none", "-Wl,-z,defs"]
            words += ["-Wl,-z,noexecstack", "-s", "-lm", "-ldl"]
            if self.is_zig:
                words += ["-Wl,--as-needed", self._libgcc(folder)]
        elif self.target.format == "macho":
            (folder / "exports.txt").write_text("".join(f"_{pattern}\n" for pattern in API), encoding="ascii")
            # No -s: dyld needs nothing of it, and ld64 has it no longer; -x leaves the exported names only.
            words += ["-Wl,-exported_symbols_list,exports.txt", "-Wl,-x", f"-Wl,-install_name,@rpath/{result.name}"]
        elif self.is_zig:
            words += ["-s"]
        else:
            words += ["-s", "-static-libgcc", "-nodefaultlibs", "-Wl,--no-insert-timestamp"]
            words += ["-Wl,--start-group", "-lucrt", "-lmingw32", "-lgcc", "-lmingwex", "-lkernel32", "-Wl,--end-group"]
        run(words, folder)
        shutil.copyfile(folder / result.name, result)


@dataclass(frozen=True, slots=True)
class Msvc:
    """Microsoft's cl and link."""

    target: Target
    environment: Mapping[str, str] = field(default_factory=dict)

    def _run(self, words: Sequence[str | Path], folder: Path) -> str:
        """Run one of its programs, found on the PATH of its own environment."""
        program = shutil.which(str(words[0]), path=self.environment.get("PATH"))
        if program is None:
            raise CarriedError(f"{words[0]} is not on PATH: install the C++ build tools of Visual Studio")
        return run([program, "/nologo", *words[1:]], folder, self.environment)

    def _compiled(self, source: str, folder: Path, options: Sequence[str]) -> Path:
        """Compile one file."""
        result = folder / f"{Path(source).stem}.obj"
        common = ["/O2", "/w", "/MD", "/Brepro", "/D_CRT_SECURE_NO_DEPRECATE"]
        self._run(["cl", "/c", *common, *options, f"/Fo{result.name}", source], folder)
        return result

    def preprocess(self, source: Path, includes: Sequence[str], defines: Sequence[str]) -> str:
        """Return a file after preprocessing."""
        options = [*(f"/I{name}" for name in includes), *(f"/D{name}" for name in defines)]
        return self._run(["cl", "/EP", *options, source.name], source.parent)

    def compile_lua(self, source: str, folder: Path, includes: Sequence[str], defines: Sequence[str]) -> Path:
        """Compile a file of a Lua, in its directory; return the object file, whose code is in the named section."""
        shutil.copyfile(ADDED / "luatext.h", folder / "luagauge_luatext.h")
        options = ["/FIluagauge_luatext.h", *(f"/I{name}" for name in includes), *(f"/D{name}" for name in defines)]
        return self._compiled(source, folder, options)

    def compile_added(self, source: Path, folder: Path, defines: Sequence[str]) -> Path:
        """Compile a file of ours in the same place; its code stays in the ordinary section."""
        shutil.copy(source, folder / f"luagauge_{source.name}")
        return self._compiled(f"luagauge_{source.name}", folder, ["/I.", *(f"/D{name}" for name in defines)])

    def assemble_vm(self, buildvm: Path, folder: Path) -> Path:
        """Have LuaJIT's buildvm write its interpreter; return the object file."""
        return peobj_vm(buildvm, folder)

    def program(self, sources: Sequence[str], folder: Path, name: str, flags: Sequence[str]) -> Path:
        """Make a program that runs here; return its path. Only for the host."""
        words = [*(flag.replace("-", "/", 1) for flag in flags), *sources]
        objects = folder / f"{name}-objects"
        objects.mkdir()
        result = folder / f"{name}.exe"
        self._run(["cl", "/O2", "/w", "/D_CRT_SECURE_NO_DEPRECATE", *words, f"/Fo{objects}\\", f"/Fe{result}"], folder)
        return result

    def link(self, objects: Sequence[Path], result: Path) -> None:
        """Link the module; folding would make equal functions one, and a C function's address tells it from others."""
        folder = objects[0].parent
        options = ["/DLL", "/Brepro", "/INCREMENTAL:NO", "/OPT:REF,NOICF", f"/OUT:{result.name}"]
        self._run(["link", *options, *(path.name for path in objects)], folder)
        shutil.copyfile(folder / result.name, result)


def peobj_vm(buildvm: Path, folder: Path) -> Path:
    """Have buildvm write a COFF object, and name its text section for Lua's.

    The section table follows the header of 20 bytes, 40 bytes a section; a name has 8. The symbol that stands for the
    section has its name too.

    Raises:
        CarriedError: There is not exactly one section `.text`.
    """
    result = folder / "lj_vm.obj"
    run([buildvm, "-m", "peobj", "-o", result.name], folder)
    data = bytearray(result.read_bytes())
    old, new = b".text\0\0\0", SECTIONS["pe"].encode()
    count = int.from_bytes(data[2:4], "little")
    places = [20 + 40 * index for index in range(count) if data[20 + 40 * index :][:8] == old]
    if len(places) != 1:
        raise CarriedError(f"{result.name}, which buildvm wrote, has {len(places)} sections named .text, not one")
    symbols, symbol_count = (int.from_bytes(data[at : at + 4], "little") for at in (8, 12))
    places += [symbols + 18 * index for index in range(symbol_count) if data[symbols + 18 * index :][:8] == old]
    for place in places:
        data[place : place + 8] = new
    result.write_bytes(data)
    return result


def choose(target: Target, command: str | None) -> Toolchain:
    """Return the toolchain for a target.

    Args:
        target: What is built.
        command: The compiler as a shell would take it; "zig" stands for the one of the package ziglang. None: CC for
            the host, what is found for another target.

    Raises:
        CarriedError: There is no compiler for it.
    """
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", f"{target.machine}-{ZIG_SYSTEMS[target.system]}"]
    if target.format == "macho" and command and "zig" in command:
        raise CarriedError(
            "zig's linker puts all code of a macOS module into one section, so Lua's would not be told from the rest:"
            " use the platform's clang"
        )
    if command == "zig":
        if importlib.util.find_spec("ziglang") is None:
            raise CarriedError("no zig: pip install ziglang")
        return GnuLike(target, zig)
    if command is None and target == host():
        command = os.environ.get("CC") or None
    if command is None and target.system == "windows" and os.name == "nt":
        return Msvc(target, msvc.environment(target.machine))
    words = shlex.split(command) if command else _found(target, zig)
    if Path(words[0]).stem.lower() == "cl":
        return Msvc(target, msvc.environment(target.machine))
    if shutil.which(words[0]) is None:
        raise CarriedError(f"no C compiler: {words[0]!r} is not on PATH; install it, or name another with CC or --cc")
    return GnuLike(target, words)


def _found(target: Target, zig: list[str]) -> list[str]:
    """Look for a compiler where none is named."""
    if target == host():
        return ["cc"]
    if target.system == "windows" and shutil.which(f"{target.machine}-w64-mingw32-gcc"):
        return [f"{target.machine}-w64-mingw32-gcc"]
    if importlib.util.find_spec("ziglang"):
        return zig
    raise CarriedError(f"no compiler for {target.name}: install mingw's gcc or the package ziglang, or name one (--cc)")
