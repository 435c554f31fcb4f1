"""How the programs begin that a test runs in a process of their own."""

from __future__ import annotations

PRELUDE = """
import faulthandler, os, signal, sys, threading, time, traceback
faulthandler.dump_traceback_later(100, exit=True)
from luagauge import *
def engine(**settings):
    return LuaEngine(ScriptConfig(lua=sys.argv[1], **settings))
def runs(e):
    "Whether it runs a script. A stall of the machine can cost a short limit its time, hardly five times in a row."
    return any(e.execute_script("return 1").output == 1 for _ in range(5))
def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
