/* The methods of _fast.State: run, compile, release, interrupt, close, counters.
 *
 * A run gives up the GIL once for its whole length and takes it back only for host functions, ticks and the result.
 * One run at a time: `lock` is held for as long as the Lua state is in use, by `owner`. */
#include "engine.h"

#include "../os/process.h"
#include "convert.h"

/* A run in the main thread looks this often whether Python has signals to handle (Ctrl-C). */
static const int64_t tick_every_ns = 50000000;

/* A thread that waits for the state looks this often whether it is still wanted there (engine_interrupt_thread). */
static const PY_TIMEOUT_T wait_us = 50000;

/* Forget a waiter. Others may have come and gone since it was put in front. */
static void forget_waiter(struct lg_engine *engine, struct lg_waiter *waiter) {
  struct lg_waiter **at = &engine->waiters;
  while (*at != waiter) {
    at = &(*at)->next;
  }
  *at = waiter->next;
  PyMem_Free(waiter);
}

/* Wait for the lock without the GIL, as `waiter`; 0, or -1 with an exception. */
static int wait_as(struct lg_engine *engine, const struct lg_waiter *waiter) {
  for (;;) {
    PyLockStatus status;
    Py_BEGIN_ALLOW_THREADS
    status = PyThread_acquire_lock_timed(engine->lock, wait_us, 1);
    Py_END_ALLOW_THREADS
    if (status == PY_LOCK_ACQUIRED) {
      return 0;
    }
    /* A signal handler may have forked, in the child of which the run that is waited for is never over. */
    if (waiter->given_up || engine->owner_process != lg_process()) {
      (void)lg_fast_raise_from(engine->fast, LG_FAST_BUSY_ERROR);
      return -1;
    }
    if (PyErr_CheckSignals() < 0) {
      return -1;
    }
  }
}

/* Wait for the lock; 0, or -1 with an exception. */
static int wait_for_lock(struct lg_engine *engine) {
  unsigned long me = PyThread_get_thread_ident();
  /* After a fork, a run of another thread than the one that forked is never over: that thread is not in this process. */
  if (engine->owner == me || engine->owner_process != lg_process()) {
    (void)lg_fast_raise_from(engine->fast, LG_FAST_BUSY_ERROR);
    return -1;
  }
  struct lg_waiter *waiter = PyMem_Malloc(sizeof *waiter);
  if (waiter == NULL) {
    (void)PyErr_NoMemory();
    return -1;
  }
  *waiter = (struct lg_waiter){engine->waiters, me, 0};
  engine->waiters = waiter;
  int rc = wait_as(engine, waiter);
  forget_waiter(engine, waiter);
  return rc;
}

/* Take the Lua state for this thread. 0, or -1 with EngineBusyError, EngineClosedError or a signal's exception. */
static int enter(struct lg_engine *engine) {
  if (!PyThread_acquire_lock(engine->lock, NOWAIT_LOCK) && wait_for_lock(engine) < 0) {
    return -1;
  }
  if (engine->st == NULL) {
    PyThread_release_lock(engine->lock);
    (void)lg_fast_raise_from(engine->fast, LG_FAST_CLOSED_ERROR);
    return -1;
  }
  engine->owner = PyThread_get_thread_ident();
  engine->owner_process = lg_process();
  return 0;
}

static void leave(struct lg_engine *engine) {
  engine->owner = 0;
  PyThread_release_lock(engine->lock);
}

/* Fill the request from (ref, globals, source, name, keep). 0 or -1. The strings are borrowed from the arguments. */
static int fill_request(struct lg_engine *engine, struct lg_request *rq, PyObject *const *args) {
  *rq = engine->limits;
  rq->ref = (int)PyLong_AsLong(args[0]);
  rq->globals = PyLong_AsUnsignedLongLong(args[1]);
  if (PyErr_Occurred()) {
    return -1;
  }
  rq->keep = args[4] == Py_True;
  if (rq->ref < 0) {
    char *source = NULL;
    Py_ssize_t size = 0;
    if (PyBytes_AsStringAndSize(args[2], &source, &size) < 0) {
      return -1;
    }
    rq->source = source;
    rq->source_len = (size_t)size;
    rq->name = PyBytes_AsString(args[3]);
    if (rq->name == NULL) {
      return -1;
    }
  }
  rq->tick_ns = PyThread_get_thread_ident() == engine->main_thread ? tick_every_ns : 0;
  rq->host_tick = lg_engine_tick;
  rq->host_call = lg_engine_call;
  rq->host = engine;
  return 0;
}

static void execute(struct lg_engine *engine, const struct lg_request *rq, struct lg_report *rp, int only_compile) {
  Py_CLEAR(engine->cause);
  engine->runs++;
  engine->thread = PyEval_SaveThread();
  if (only_compile) {
    engine->st->ops->compile(engine->st, rq, rp);
  } else {
    engine->st->ops->run(engine->st, rq, rp);
  }
  PyEval_RestoreThread(engine->thread);
  engine->thread = NULL;
}

/* run(ref, globals, source, name, keep, context) -> (ScriptResult, ref, globals); with only_compile no context. */
static PyObject *run_or_compile(PyObject *self, PyObject *const *args, Py_ssize_t nargs, int only_compile) {
  struct lg_engine *engine = lg_engine_of(self);
  struct lg_request rq;
  struct lg_report rp;
  if (nargs != (only_compile ? 5 : 6)) {
    PyErr_SetString(PyExc_TypeError, "wrong number of arguments");
    return NULL;
  }
  /* The module, or this object as part of a cycle of garbage, has been cleared already. */
  if (engine->fast->objects[LG_FAST_SCRIPT_RESULT] == NULL || engine->functions == NULL) {
    return lg_fast_raise_from(engine->fast, LG_FAST_CLOSED_ERROR);
  }
  if (enter(engine) < 0) {
    return NULL;
  }
  PyObject *answer = NULL;
  lg_buf_reset(&engine->context, 1 << 16);
  if (fill_request(engine, &rq, args) == 0 &&
      (only_compile || args[5] == Py_None ||
       lg_encode(engine->fast, args[5], "", engine->max_int, &engine->context) == 0)) {
    if (!only_compile && args[5] != Py_None) {
      rq.context = engine->context.data;
      rq.context_len = engine->context.len;
    }
    execute(engine, &rq, &rp, only_compile);
    answer = lg_engine_result(engine, &rp);
    lg_buf_reset(&engine->st->answer.output, 1 << 16); /* an idle engine does not hold what a large output took */
    if (answer == NULL && rp.ref >= 0) {
      engine->st->ops->release(engine->st, rp.ref, 1);
    }
  }
  Py_CLEAR(engine->cause);
  leave(engine);
  if (answer == NULL) {
    return NULL;
  }
  if (!rq.keep) {
    return answer;
  }
  return Py_BuildValue("(NiK)", answer, rp.ref, (unsigned long long)rp.globals);
}

static PyObject *engine_run(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
  return run_or_compile(self, args, nargs, 0);
}

static PyObject *engine_compile(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
  return run_or_compile(self, args, nargs, 1);
}

/* Forget compiled scripts; False, and nothing done, while the state is in use. A closed state has forgotten them. */
static PyObject *engine_release(PyObject *self, PyObject *refs) {
  struct lg_engine *engine = lg_engine_of(self);
  if (!PyThread_acquire_lock(engine->lock, NOWAIT_LOCK)) {
    Py_RETURN_FALSE;
  }
  Py_ssize_t count = engine->st == NULL ? 0 : PyList_Size(refs);
  for (Py_ssize_t i = 0; i < count; i++) {
    int ref = (int)PyLong_AsLong(PyList_GetItem(refs, i));
    engine->st->ops->release(engine->st, ref, i == count - 1);
  }
  PyThread_release_lock(engine->lock);
  if (PyErr_Occurred()) { /* no list, or of no numbers: a bug of the caller's */
    return NULL;
  }
  Py_RETURN_TRUE;
}

static PyObject *engine_interrupt(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct lg_engine *engine = lg_engine_of(self);
  int told = engine->st != NULL && engine->core->state_interrupt(engine->st, LG_INT_HOST);
  return PyBool_FromLong(told);
}

/* The same, but only when the run is the given thread's. A thread that waits for the state instead waits no longer. */
static PyObject *engine_interrupt_thread(PyObject *self, PyObject *thread) {
  struct lg_engine *engine = lg_engine_of(self);
  unsigned long ident = PyLong_AsUnsignedLong(thread);
  if (PyErr_Occurred()) {
    return NULL;
  }
  if (engine->owner == ident) {
    return engine_interrupt(self, NULL);
  }
  for (struct lg_waiter *waiter = engine->waiters; waiter != NULL; waiter = waiter->next) {
    if (waiter->thread == ident) {
      waiter->given_up = 1;
    }
  }
  Py_RETURN_FALSE;
}

static PyObject *engine_close(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct lg_engine *engine = lg_engine_of(self);
  if (engine->st == NULL) {
    Py_RETURN_NONE;
  }
  if (enter(engine) < 0) {
    return NULL;
  }
  struct lg_state *st = engine->st;
  engine->st = NULL;
  leave(engine);
  engine->core->state_free(st);
  Py_RETURN_NONE;
}

/* (current, reserved, runs, hard stops, why there are none) without waiting for a run: informative while one is on. */
static PyObject *engine_counters(PyObject *self, PyObject *Py_UNUSED(ignored)) {
  struct lg_engine *engine = lg_engine_of(self);
  if (engine->st == NULL) {
    return lg_fast_raise_from(engine->fast, LG_FAST_CLOSED_ERROR);
  }
  const struct lg_state *st = engine->st;
  struct lg_core_figures figures;
  engine->core->state_figures(st, &figures);
  return Py_BuildValue("(nnKKz)", (Py_ssize_t)figures.live_bytes, (Py_ssize_t)figures.reserved_bytes,
                       (unsigned long long)engine->runs, (unsigned long long)figures.hard_stops, figures.no_hard_stop);
}

PyMethodDef lg_engine_methods[] = {
    {"run", (PyCFunction)(void (*)(void))engine_run, METH_FASTCALL, "run(ref, globals, source, name, keep, context)"},
    {"compile", (PyCFunction)(void (*)(void))engine_compile, METH_FASTCALL,
     "compile(ref, globals, source, name, keep)"},
    {"release", engine_release, METH_O, "release(refs): forget compiled scripts; False while the state is in use."},
    {"interrupt", engine_interrupt, METH_NOARGS, "End the run in progress; True when there was one."},
    {"interrupt_thread", engine_interrupt_thread, METH_O,
     "End the run in progress if this thread runs it, True then; if it waits for another one's, end the wait."},
    {"close", engine_close, METH_NOARGS, "Close the Lua state, after the run in progress."},
    {"counters", engine_counters, METH_NOARGS,
     "(live bytes, reserved bytes, runs, hard stops, why there are none or None)."},
    {NULL, NULL, 0, NULL},
};
