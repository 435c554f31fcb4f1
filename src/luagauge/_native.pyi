from typing import Any

# cffi makes both at build time from csrc/native.cdef.txt.
ffi: Any
lib: Any
