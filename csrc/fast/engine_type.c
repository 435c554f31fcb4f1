/* The type _fast.State: making and freeing its objects, and the module functions that find Lua and make them. */
#include "engine_type.h"

#include <limits.h>

#include "engine.h"

/* The UTF-8 of a tuple of str, borrowed from its items; NULL with an exception. Free the array with PyMem_Free. */
static const char **strings_of(PyObject *tuple) {
  Py_ssize_t n = PyTuple_Size(tuple);
  const char **strings = n < 0 ? NULL : PyMem_Calloc((size_t)n + 1, sizeof *strings);
  for (Py_ssize_t i = 0; i < n && strings != NULL; i++) {
    strings[i] = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(tuple, i), NULL);
    if (strings[i] == NULL) {
      PyMem_Free(strings);
      return NULL;
    }
  }
  return strings;
}

/* How the engine's state is to be made. */
static struct lg_opening opening_of(const struct lg_engine *engine) {
  struct lg_opening how = {lg_reserved_most(engine->limits.memory_limit)};
  if (how.range_bytes < LG_RANGE_LEAST) {
    how.range_bytes = LG_RANGE_LEAST;
  }
  if (how.range_bytes > LG_RANGE_MOST) {
    how.range_bytes = LG_RANGE_MOST;
  }
  return how;
}

static int open_state(struct lg_engine *engine, const struct lg_ops *ops, PyObject *environment) {
  const char **names = strings_of(engine->names);
  const char **pairs = names == NULL ? NULL : strings_of(environment);
  int rc = -1;
  if (pairs != NULL) {
    const struct lg_core *core = engine->core;
    struct lg_state *st =
        core->state_new(ops, (int)PyTuple_Size(engine->names), names, (int)(PyTuple_Size(environment) / 2), pairs);
    if (st != NULL) {
      st->ending.no_hard_stop = engine->no_hard_stop;
      st->host.seed = engine->seed;
      st->host.clock = engine->clock;
    }
    const struct lg_opening how = opening_of(engine);
    int status = st == NULL ? LG_NO_MEMORY : ops->open(st, &how);
    if (status == LG_OK) {
      engine->st = st;
      rc = 0;
    } else {
      (void)(status == LG_OS_ERROR ? PyErr_SetFromErrno(PyExc_OSError) : PyErr_NoMemory());
      core->state_free(st);
    }
  } else if (!PyErr_Occurred()) {
    (void)PyErr_NoMemory();
  }
  PyMem_Free((void *)names);
  PyMem_Free((void *)pairs);
  return rc;
}

static PyObject *engine_make(PyObject *module, struct lg_fast_state *fast, PyObject *args) {
  PyObject *address = NULL;
  PyObject *names = NULL;
  PyObject *functions = NULL;
  PyObject *environment = NULL;
  PyObject *config = NULL;
  unsigned long main_thread = 0;
  if (!PyArg_ParseTuple(args, "OO!O!O!Ok", &address, &PyTuple_Type, &names, &PyTuple_Type, &functions, &PyTuple_Type,
                        &environment, &config, &main_thread)) {
    return NULL;
  }
  const struct lg_ops *ops = PyLong_AsVoidPtr(address);
  if (ops == NULL) {
    return PyErr_Occurred() ? NULL : lg_fast_raise_from(fast, LG_FAST_CLOSED_ERROR);
  }
  struct lg_engine *engine = lg_engine_of(PyType_GenericAlloc(fast->engine_type, 0));
  if (engine == NULL) {
    return NULL;
  }
  Py_INCREF(module);
  engine->module = module;
  engine->fast = fast;
  engine->core = fast->core;
  Py_INCREF(names);
  engine->names = names;
  Py_INCREF(functions);
  engine->functions = functions;
  Py_INCREF(config);
  engine->config = config;
  engine->main_thread = main_thread;
  engine->max_int = ops->max_int;
  engine->lock = PyThread_allocate_lock();
  if (engine->lock == NULL || lg_engine_settings(engine, config) < 0 || open_state(engine, ops, environment) < 0) {
    if (!PyErr_Occurred()) {
      (void)PyErr_NoMemory();
    }
    Py_DECREF((PyObject *)engine);
    return NULL;
  }
  return (PyObject *)engine;
}

static PyObject *fast_state(PyObject *module, PyObject *args) {
  struct lg_fast_state *fast = lg_fast_ready(module);
  return fast == NULL ? NULL : engine_make(module, fast, args);
}

static PyObject *fast_resolve(PyObject *module, PyObject *args) {
  struct lg_fast_state *fast = lg_fast_ready(module);
  const char *instance = NULL;
  PyObject *path = NULL; /* in the system's own bytes, UTF-8 on Windows: PEP 529 */
  if (fast == NULL || !PyArg_ParseTuple(args, "sO&", &instance, PyUnicode_FSConverter, &path)) {
    return NULL;
  }
  const struct lg_ops *ops = NULL;
  const char *why = "";
  int status = fast->core->ops_resolve(instance, PyBytes_AsString(path), &ops, &why);
  Py_DECREF(path);
  if (status == LG_OS_ERROR) { /* its text is the system's, in whatever bytes */
    PyErr_Format(PyExc_OSError, "%s", why);
    return NULL;
  }
  if (status != LG_OK) {
    return Py_BuildValue("(iss)", 0, why, "");
  }
  return Py_BuildValue("(Nss)", PyLong_FromVoidPtr((void *)(uintptr_t)ops), "", ops->lua_release);
}

static int engine_traverse(PyObject *self, visitproc visit, void *arg) {
  struct lg_engine *engine = lg_engine_of(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(engine->module);
  Py_VISIT(engine->names);
  Py_VISIT(engine->functions);
  Py_VISIT(engine->config);
  Py_VISIT(engine->cause);
  return 0;
}

static int engine_clear(PyObject *self) {
  struct lg_engine *engine = lg_engine_of(self);
  Py_CLEAR(engine->functions);
  Py_CLEAR(engine->config);
  Py_CLEAR(engine->cause);
  return 0;
}

static void engine_dealloc(PyObject *self) {
  struct lg_engine *engine = lg_engine_of(self);
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  (void)engine_clear(self);
  Py_CLEAR(engine->names);
  if (engine->st != NULL) {
    engine->core->state_free(engine->st);
  }
  while (engine->waiters !=
         NULL) { /* of threads that a fork left behind: each of this process keeps the engine alive */
    struct lg_waiter *next = engine->waiters->next;
    PyMem_Free(engine->waiters);
    engine->waiters = next;
  }
  lg_buf_free(&engine->context);
  if (engine->lock != NULL) {
    PyThread_free_lock(engine->lock);
  }
  PyObject *module = engine->module;
  freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
  release(self);
  Py_XDECREF(module);
  Py_DECREF(type);
}

static PyObject *engine_closed(PyObject *self, void *Py_UNUSED(closure)) {
  return PyBool_FromLong(lg_engine_of(self)->st == NULL);
}

static PyGetSetDef engine_getset[] = {
    {"closed", engine_closed, NULL, "True once closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_dealloc, (void *)engine_dealloc}, {Py_tp_traverse, (void *)engine_traverse},
    {Py_tp_clear, (void *)engine_clear},     {Py_tp_methods, (void *)lg_engine_methods},
    {Py_tp_getset, (void *)engine_getset},   {0, NULL},
};

static PyType_Spec engine_spec = {
    .name = "luagauge._fast.State",
    .basicsize = sizeof(struct lg_engine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = engine_slots,
};

static PyMethodDef engine_functions[] = {
    {"resolve", fast_resolve, METH_VARARGS,
     "resolve(instance, path) -> (address of the core's calls or 0, why not, the Lua's release)"},
    {"state", fast_state, METH_VARARGS, "state(ops, names, functions, environment, config, main_thread) -> State"},
    {NULL, NULL, 0, NULL},
};

int lg_engine_add(PyObject *module, struct lg_fast_state *state) {
  PyObject *type = PyType_FromModuleAndSpec(module, &engine_spec, NULL);
  if (type == NULL) {
    return -1;
  }
  state->engine_type = (PyTypeObject *)type;
  return PyModule_AddFunctions(module, engine_functions);
}
