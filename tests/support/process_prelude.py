"""How the programs begin that a test runs in a process of their own."""

from __future__ import annotations

PRELUDE = """
import faulthandler, os, signal, sys, threading, time, traceback
faulthandler.dump_traceback_later(100, exit=True)
from luagauge import *
def engine(**settings):
    return LuaEngine(ScriptConfig(lua=sys.argv[1], **settings))
def runs(e):
    "Whether it runs a script. Only a run that a stall of the machine cost all of its own time is tried again."
    for _ in range(5):
        result = e.execute_script("return 1")
        if not isinstance(result.error, ScriptTimeoutError) or result.duration_ms < result.error.timeout_ms:
            break
    return result.output == 1
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
