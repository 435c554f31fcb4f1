"""Build the Lua modules that a wheel carries, from lupa's sdist.

`sdist` finds the sources and holds them against the pin, `targets` names the platforms, `toolchain` runs compilers,
`puc` and `luajit` know what each Lua is made of, `objects` reads what was built, and `modules` puts it all together.
tools/build_luas.py is the command; setup.py uses the same functions.
"""
