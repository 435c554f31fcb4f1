"""How the programs begin that a test runs in a process of their own."""

from __future__ import annotations

PRELUDE = """
import faulthandler, os, signal, sys, threading, time, traceback
faulthandler.dump_traceback_later(100, exit=True)
from luagauge import *
def engine(**settings):
    return LuaEngine(ScriptConfig(lua=sys.argv[1], **settings))
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
