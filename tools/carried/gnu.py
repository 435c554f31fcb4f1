"""Run the compilers that take gcc's options: gcc, clang, mingw's gcc and zig.

Lua's own code is put into a section of its own: each file is compiled to assembly, whose text directives are rewritten.
Paths are relative to the directory that the compiler runs in, so that no name of a directory gets into a module.
"""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .targets import Format, Target
from .toolchain import API, SECTIONS, peobj_vm, run

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
LIBGCC = (
    *(f"_Unwind_{name}" for name in ("RaiseException", "DeleteException", "GetCFA", "GetIP", "SetGR", "SetIP")),
    *("__register_frame", "__deregister_frame"),
)
"""What LuaJIT takes from libgcc's shared library."""


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
            return [*common, "-D_UCRT", "-D__USE_MINGW_ANSI_STDIO=0"]
        return [*common, "-fPIC", "-funwind-tables"]

    def preprocess(self, source: Path, includes: Sequence[str], defines: Sequence[str]) -> str:
        """Return a file after preprocessing."""
        words = [*self.base, *self.flags, *(f"-I{name}" for name in includes), *(f"-D{name}" for name in defines)]
        return run([*words, "-E", "-P", source.name], source.parent)

    def compile_lua(self, source: str, folder: Path, includes: Sequence[str], defines: Sequence[str]) -> Path:
        """Compile a file of a Lua, in its directory; return the object file, whose code is in the named section."""
        stem = Path(source).stem
        words = [*self.base, *self.flags, *(f"-I{name}" for name in includes), *(f"-D{name}" for name in defines)]
        cache.compile_once(
            folder / f"{stem}.s",
            self.base,
            [*words, "-S", source, "-o", f"{stem}.s"],
            lambda: self.preprocess(folder / source, includes, defines),
        )
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
            words += ["-s", "-Wl,-Brepro"]
        else:
            words += ["-s", "-static-libgcc", "-nodefaultlibs", "-Wl,--no-insert-timestamp"]
            words += ["-Wl,--start-group", "-lucrt", "-lmingw32", "-lgcc", "-lmingwex", "-lkernel32", "-Wl,--end-group"]
        run(words, folder)
        shutil.copyfile(folder / result.name, result)
