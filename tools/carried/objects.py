"""Read object files and modules, ELF, Mach-O and PE, as far as their code, exports and libraries go.

Only what the builds here make is read: 64 bits, little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .errors import CarriedError

ELF_EXECUTABLE = 4
ELF_DYNAMIC, ELF_DYNSYM, ELF_NOBITS = 6, 11, 8
ELF_NEEDED = 1
MACHO_SEGMENT, MACHO_SYMTAB, MACHO_LOAD_DYLIB = 0x19, 0x2, 0xC
MACHO_INSTRUCTIONS = 0x80000400
MACHO_KIND, MACHO_IN_SECTION, MACHO_EXTERNAL, MACHO_PRIVATE = 0x0E, 0x0E, 0x01, 0x10
PE_EXECUTABLE = 0x20000000
PE_HEADER_AT = 0x3C


@dataclass(frozen=True, slots=True)
class Section:
    """A section that holds something."""

    name: str
    """On Mach-O with its segment: `__TEXT,__text`."""
    address: int
    size: int
    offset: int
    """Where its content stands in the file."""
    executable: bool


@dataclass(slots=True)
class Binary:
    """An object file or a module."""

    data: bytes
    sections: list[Section] = field(default_factory=list)
    exports: dict[str, int] = field(default_factory=dict)
    """Addresses by name, of a module."""
    undefined: set[str] = field(default_factory=set)
    """Names that a module takes from others; not told on PE."""
    libraries: list[str] = field(default_factory=list)
    """What a module is linked with, as it names them."""

    def text(self, address: int) -> str:
        """Return the zero-terminated string that an address holds.

        Raises:
            CarriedError: No section of the file holds it.
        """
        for section in self.sections:
            if section.address <= address < section.address + section.size:
                return _string(self.data, section.offset + address - section.address)
        raise CarriedError(f"no section holds the address {address:#x}")


def read(path: Path) -> Binary:
    """Read a file.

    Raises:
        CarriedError: It is of another format.
    """
    binary = Binary(path.read_bytes())
    try:
        if binary.data[:6] == b"\x7fELF\x02\x01":
            _read_elf(binary)
        elif binary.data[:4] == b"\xcf\xfa\xed\xfe":
            _read_macho(binary)
        elif binary.data[:2] == b"MZ":
            _read_pe(binary, struct.unpack_from("<I", binary.data, PE_HEADER_AT)[0] + 4)
        else:
            _read_pe(binary, 0)
    except (struct.error, ValueError, IndexError) as error:
        raise CarriedError(f"{path.name} is no object file or module that can be read: {error}") from error
    return binary


def _string(data: bytes, offset: int) -> str:
    """Return the zero-terminated string at an offset."""
    return data[offset : data.index(0, offset)].decode("ascii")


def _read_elf(binary: Binary) -> None:
    """Read an ELF file by its section headers."""
    data = binary.data
    (table,) = struct.unpack_from("<Q", data, 0x28)
    width, count, names = struct.unpack_from("<3H", data, 0x3A)
    headers = [struct.unpack_from("<2I4Q2I2Q", data, table + width * index) for index in range(count)]
    for name, kind, flags, address, offset, size, *_ in headers:
        if size and kind not in {0, ELF_NOBITS}:
            title = _string(data, headers[names][4] + name)
            binary.sections.append(Section(title, address, size, offset, bool(flags & ELF_EXECUTABLE)))
    for _name, kind, _flags, _address, offset, size, link, *_ in headers:
        if kind not in {ELF_DYNSYM, ELF_DYNAMIC}:
            continue
        strings = headers[link][4]
        if kind == ELF_DYNAMIC:
            entries = struct.iter_unpack("<2Q", data[offset : offset + size])
            binary.libraries += [_string(data, strings + value) for tag, value in entries if tag == ELF_NEEDED]
            continue
        for name, _info, _other, section, value, _size in struct.iter_unpack("<I2BH2Q", data[offset : offset + size]):
            if section:
                binary.exports[_string(data, strings + name)] = value
            elif name:
                binary.undefined.add(_string(data, strings + name))


def _read_macho(binary: Binary) -> None:
    """Read a Mach-O file by its load commands."""
    data = binary.data
    (count,) = struct.unpack_from("<I", data, 16)
    at = 32
    for _ in range(count):
        command, size = struct.unpack_from("<2I", data, at)
        if command == MACHO_SEGMENT:
            (sections,) = struct.unpack_from("<I", data, at + 64)
            for place in range(at + 72, at + 72 + 80 * sections, 80):
                name, segment, address, length, offset = struct.unpack_from("<16s16s2QI", data, place)
                (flags,) = struct.unpack_from("<I", data, place + 64)
                title = ",".join(part.rstrip(b"\0").decode("ascii") for part in (segment, name))
                if length:
                    executable = bool(flags & MACHO_INSTRUCTIONS)
                    binary.sections.append(Section(title, address, length, offset, executable))
        elif command == MACHO_LOAD_DYLIB:
            binary.libraries.append(_string(data, at + struct.unpack_from("<I", data, at + 8)[0]))
        elif command == MACHO_SYMTAB:
            table, symbols, strings = struct.unpack_from("<3I", data, at + 8)
            for name, kind, _section, _more, value in struct.iter_unpack("<I2BHQ", data[table : table + 16 * symbols]):
                title = _string(data, strings + name).removeprefix("_")
                if kind & MACHO_KIND == 0:
                    binary.undefined.add(title)
                elif kind & MACHO_KIND == MACHO_IN_SECTION and kind & (MACHO_EXTERNAL | MACHO_PRIVATE) == 1:
                    binary.exports[title] = value
        at += size


def _read_pe(binary: Binary, at: int) -> None:
    """Read a COFF object file, whose header begins the file, or a module in PE, whose header stands at `at`."""
    data = binary.data
    count, _time, symbols, symbol_count, optional = struct.unpack_from("<H3IH", data, at + 2)
    for place in range(at + 20 + optional, at + 20 + optional + 40 * count, 40):
        name, virtual_size, address, size, offset = struct.unpack_from("<8s4I", data, place)
        (flags,) = struct.unpack_from("<I", data, place + 36)
        title = name.rstrip(b"\0").decode("ascii")
        if title.startswith("/"):  # a longer one, in the string table behind the symbols
            title = _string(data, symbols + 18 * symbol_count + int(title[1:]))
        length = virtual_size if optional else size
        if length:
            binary.sections.append(Section(title, address, length, offset, bool(flags & PE_EXECUTABLE)))
    if optional:
        exports, _size, imports = struct.unpack_from("<3I", data, at + 20 + 112)
        _read_pe_exports(binary, exports)
        binary.libraries += [binary.text(name) for name in _pe_imports(binary, imports)]


def _offset(binary: Binary, address: int) -> int:
    """Return where an address of a PE module stands in its file."""
    for section in binary.sections:
        if section.address <= address < section.address + section.size:
            return section.offset + address - section.address
    raise ValueError(f"no section holds the address {address:#x}")


def _read_pe_exports(binary: Binary, table: int) -> None:
    """Read the export directory, where there is one."""
    if not table:
        return
    count, functions, names, ordinals = struct.unpack_from("<4I", binary.data, _offset(binary, table) + 24)
    for index in range(count):
        (name,) = struct.unpack_from("<I", binary.data, _offset(binary, names) + 4 * index)
        (ordinal,) = struct.unpack_from("<H", binary.data, _offset(binary, ordinals) + 2 * index)
        (address,) = struct.unpack_from("<I", binary.data, _offset(binary, functions) + 4 * ordinal)
        binary.exports[binary.text(name)] = address


def _pe_imports(binary: Binary, table: int) -> Iterator[int]:
    """Yield the address of each imported library's name."""
    at = _offset(binary, table) if table else None
    while at is not None:
        (name,) = struct.unpack_from("<I", binary.data, at + 12)
        if not name:
            return
        yield name
        at += 20
