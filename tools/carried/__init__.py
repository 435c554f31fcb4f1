"""Build the Lua modules that a wheel carries, from lupa's sdist.

`sdist` finds the sources and holds them against the pin; `targets` names the platforms. `toolchain` says what is asked
of a compiler, `gnu` and `msvc` run them, and `compilers` chooses one. `cache` keeps what gcc and clang made. `puc` and
`luajit` know what each Lua is made of.
`modules` puts it all together; `checks` looks at the result, which `objects` reads. `wheels` says what a wheel holds.
tools/build_luas.py is the command; setup.py uses the same functions.
"""
