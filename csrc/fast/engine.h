/* struct lg_engine: one Lua state as a Python object, and what its parts offer each other.
 *
 * Everything here needs the GIL, except the two callbacks, which take it. */
#ifndef LG_ENGINE_H
#define LG_ENGINE_H

#include "fast.h"
/* After Python.h, which sets what the system headers declare: */
#include "../guard/state.h"

/* A thread that waits for the state. From PyMem_Malloc: in a forked child the other threads' stacks are gone, and their
 * records stay until the engine is freed. */
struct lg_waiter {
  struct lg_waiter *next;
  unsigned long thread;
  int given_up; /* it need not wait any longer */
};

struct lg_engine {
  PyObject_HEAD
  PyObject *module; /* keeps `fast` valid until this object is gone, at interpreter exit too */
  struct lg_fast_state *fast;
  const struct lg_core *core;
  struct lg_state *st;   /* NULL once closed */
  PyObject *names;       /* tuple of str: the host functions' names */
  PyObject *functions;   /* tuple of callables */
  PyObject *config;      /* ScriptConfig, handed to run_error */
  PyObject *cause;       /* the last exception a host function raised in this run */
  PyThreadState *thread; /* of the run in progress, while it holds no GIL */
  PyThread_type_lock lock;
  unsigned long owner;       /* the thread that uses the state, 0 for none */
  int owner_process;         /* its process, as of the last use */
  struct lg_waiter *waiters; /* under the GIL */
  unsigned long main_thread;
  unsigned long long runs;
  long long max_int;
  int raise_on_probe_error;
  int no_hard_stop;
  struct lg_request limits; /* what every run has in common */
  struct lg_seed seed;      /* what the state is opened with: this, and whether its clock is frozen */
  struct lg_clock clock;
  struct lg_buf context;
};

static inline struct lg_engine *lg_engine_of(PyObject *self) { return (struct lg_engine *)(void *)self; }

/* settings.c: read the limits of a ScriptConfig, or of what has its attributes; 0, or -1 with an exception that names the
 * setting. */
int lg_engine_settings(struct lg_engine *engine, PyObject *config);

/* run.c */
extern PyMethodDef lg_engine_methods[];

/* callback.c: lg_host_call and lg_host_tick of a run, whose `host` is the struct lg_engine. */
int lg_engine_call(void *host, int index, const struct lg_buf *args, struct lg_buf *result);
int lg_engine_tick(void *host);

/* result.c: the ScriptResult that the report and the state's buffers stand for; NULL with an exception. */
PyObject *lg_engine_result(struct lg_engine *engine, const struct lg_report *rp);

#endif
