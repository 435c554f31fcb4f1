/* The module object of luagauge._fast: its state, its registration calls and the GIL-keeping snapshot(). */
#include "fast.h"

#include "engine_type.h"

static const char *const object_names[LG_FAST_OBJECT_COUNT] = {
    [LG_FAST_STATUS_ERROR] = "status_error",
    [LG_FAST_SERIALIZATION_ERROR] = "serialization_error",
    [LG_FAST_FOREIGN_FORM] = "foreign_form",
    [LG_FAST_KEY_REFUSAL] = "key_refusal",
    [LG_FAST_RUN_ERROR] = "run_error",
    [LG_FAST_BUSY_ERROR] = "EngineBusyError",
    [LG_FAST_CLOSED_ERROR] = "EngineClosedError",
    [LG_FAST_MEMORY_SNAPSHOT] = "MemorySnapshot",
    [LG_FAST_MEMORY_DELTA] = "MemoryDelta",
    [LG_FAST_LOG_ENTRY] = "LogEntry",
    [LG_FAST_SCRIPT_MEMORY] = "ScriptMemory",
    [LG_FAST_SCRIPT_RESULT] = "ScriptResult",
};

static const char *const attribute_names[LG_NAME_COUNT] = {
#define LG_FAST_NAME(name) #name,
    LG_FAST_NAMES(LG_FAST_NAME)
#undef LG_FAST_NAME
};

struct lg_fast_state *lg_fast_ready(PyObject *module) {
  struct lg_fast_state *state = PyModule_GetState(module);
  if (state == NULL) {
    return NULL;
  }
  /* set_types() stores all or nothing, so one object stands for the rest, and another for those that are never cleared. */
  if (state->objects[LG_FAST_STATUS_ERROR] == NULL && state->objects[LG_FAST_CLOSED_ERROR] != NULL) {
    (void)lg_fast_raise_from(state, LG_FAST_CLOSED_ERROR); /* Python is shutting down */
    return NULL;
  }
  if (state->core == NULL || state->objects[LG_FAST_STATUS_ERROR] == NULL) {
    PyErr_SetString(PyExc_RuntimeError, "luagauge._fast is used before bind() and set_types() were called");
    return NULL;
  }
  return state;
}

static PyObject *fast_snapshot(PyObject *module, PyObject *Py_UNUSED(ignored)) {
  struct lg_fast_state *state = lg_fast_ready(module);
  struct lg_probe_reading reading;
  int os_error = 0;
  if (state == NULL) {
    return NULL;
  }
  int status = state->core->probe_read(&reading, &os_error);
  if (status != LG_OK) {
    return lg_fast_raise_status(state, status, os_error, "reading the memory of this process");
  }
  PyObject *heap = NULL;
  if (reading.heap_bytes == LG_PROBE_UNKNOWN) {
    Py_INCREF(Py_None);
    heap = Py_None;
  } else {
    heap = PyLong_FromLongLong(reading.heap_bytes);
  }
  const struct lg_fast_field fields[] = {
      {LG_NAME_heap_size_bytes, heap},
      {LG_NAME_rss_bytes, PyLong_FromLongLong(reading.rss_bytes)},
      {LG_NAME_timestamp, PyFloat_FromDouble(reading.timestamp)},
  };
  return lg_fast_make(state, LG_FAST_MEMORY_SNAPSHOT, fields, sizeof fields / sizeof fields[0]);
}

static PyObject *fast_bind(PyObject *module, PyObject *address) {
  struct lg_fast_state *state = PyModule_GetState(module);
  if (state == NULL) {
    return NULL;
  }
  const struct lg_core *core = PyLong_AsVoidPtr(address);
  if (core == NULL) {
    if (!PyErr_Occurred()) {
      PyErr_SetString(PyExc_ValueError, "the address of the core must not be 0");
    }
    return NULL;
  }
  if (core->magic != LG_CORE_MAGIC || core->size != sizeof(struct lg_core)) {
    PyErr_SetString(PyExc_ImportError,
                    "luagauge._fast and luagauge._native come from different builds; reinstall luagauge");
    return NULL;
  }
  state->core = core;
  Py_RETURN_NONE;
}

static PyObject *fast_set_types(PyObject *module, PyObject *registry) {
  struct lg_fast_state *state = PyModule_GetState(module);
  PyObject *found[LG_FAST_OBJECT_COUNT];
  if (state == NULL) {
    return NULL;
  }
  if (!PyDict_Check(registry)) {
    PyErr_SetString(PyExc_TypeError, "set_types() takes a dict of names and objects");
    return NULL;
  }
  for (size_t i = 0; i < LG_FAST_OBJECT_COUNT; i++) {
    found[i] = PyDict_GetItemString(registry, object_names[i]); /* borrowed: the dict outlives this call */
    if (found[i] == NULL) {
      PyErr_Format(PyExc_KeyError, "set_types() lacks %s", object_names[i]);
      return NULL;
    }
    /* The first entries are callables; all others are made with PyType_GenericAlloc and must be types. */
    if (i < LG_FAST_CALLABLES ? !PyCallable_Check(found[i]) : !PyType_Check(found[i])) {
      PyErr_Format(PyExc_TypeError, "set_types() got something unusable as %s", object_names[i]);
      return NULL;
    }
  }
  for (size_t i = 0; i < LG_FAST_OBJECT_COUNT; i++) {
    PyObject *old = state->objects[i];
    Py_INCREF(found[i]);
    state->objects[i] = found[i];
    Py_XDECREF(old);
  }
  lg_fast_forget_slots(state); /* they are of the old types */
  Py_RETURN_NONE;
}

PyDoc_STRVAR(snapshot_doc,
             "snapshot($module, /)\n--\n\n"
             "Take one reading of this process's memory.\n\n"
             "Counts the whole process, not one script: resident memory, and private data as the OS counts it.\n"
             "Takes about a microsecond whatever the state of the heap, and keeps the GIL.\n\n"
             "Returns:\n"
             "    A `MemorySnapshot`: bytes, and monotonic seconds.\n\n"
             "Raises:\n"
             "    PlatformUnavailableError: this OS has no probe, or hides what the probe reads.\n"
             "    MeasurementFailedError: the OS refused; `os_error` carries its code.\n"
             "    InvalidDataError: the OS answered with something that cannot be its memory.\n\n"
             "Source:\n"
             "    Linux: proc(5), /proc/self/statm. macOS: task_info. Windows: GetProcessMemoryInfo.");

PyDoc_STRVAR(bind_doc, "bind($module, address, /)\n--\n\nTake the address of _native's struct lg_core, as an int.");

PyDoc_STRVAR(
    set_types_doc,
    "set_types($module, registry, /)\n--\n\nTake the Python objects that this module makes or calls, by name.");

static PyMethodDef fast_methods[] = {
    {"bind", fast_bind, METH_O, bind_doc},
    {"set_types", fast_set_types, METH_O, set_types_doc},
    {"snapshot", fast_snapshot, METH_NOARGS, snapshot_doc},
    {NULL, NULL, 0, NULL},
};

static int fast_exec(PyObject *module) {
  struct lg_fast_state *state = PyModule_GetState(module);
  if (state == NULL) {
    return -1;
  }
  for (size_t i = 0; i < LG_NAME_COUNT; i++) {
    state->names[i] = PyUnicode_InternFromString(attribute_names[i]);
    if (state->names[i] == NULL) {
      return -1;
    }
  }
  state->source_allocator = PyUnicode_InternFromString("allocator");
  state->stopped[0] = PyUnicode_InternFromString("error");
  state->stopped[1] = PyUnicode_InternFromString("state");
  if (state->source_allocator == NULL || state->stopped[0] == NULL || state->stopped[1] == NULL) {
    return -1;
  }
  return lg_engine_add(module, state);
}

static int fast_traverse(PyObject *module, visitproc visit, void *arg) {
  struct lg_fast_state *state = PyModule_GetState(module);
  if (state != NULL) {
    for (size_t i = 0; i < LG_FAST_OBJECT_COUNT; i++) {
      Py_VISIT(state->objects[i]);
    }
    for (size_t type = 0; type < LG_FAST_OBJECT_COUNT - LG_FAST_CALLABLES; type++) {
      for (size_t name = 0; name < LG_NAME_COUNT; name++) {
        Py_VISIT(state->slots[type][name].descriptor);
      }
    }
    Py_VISIT(state->engine_type);
  }
  return 0;
}

static int fast_clear(PyObject *module) {
  struct lg_fast_state *state = PyModule_GetState(module);
  if (state != NULL) {
    lg_fast_forget_slots(state);
    for (size_t i = 0; i < LG_FAST_OBJECT_COUNT; i++) {
      if (i != LG_FAST_BUSY_ERROR && i != LG_FAST_CLOSED_ERROR) { /* with what else would a late call fail? */
        Py_CLEAR(state->objects[i]);
      }
    }
    for (size_t i = 0; i < LG_NAME_COUNT; i++) {
      Py_CLEAR(state->names[i]);
    }
    Py_CLEAR(state->source_allocator);
    Py_CLEAR(state->stopped[0]);
    Py_CLEAR(state->stopped[1]);
    Py_CLEAR(state->engine_type);
  }
  return 0;
}

static void fast_free(void *module) {
  struct lg_fast_state *state = PyModule_GetState(module);
  (void)fast_clear(module);
  if (state != NULL) {
    Py_CLEAR(state->objects[LG_FAST_BUSY_ERROR]);
    Py_CLEAR(state->objects[LG_FAST_CLOSED_ERROR]);
  }
}

static PyModuleDef_Slot fast_slots[] = {
    {Py_mod_exec, (void *)fast_exec}, /* no Py_mod_gil: a free-threaded CPython turns its GIL on, which this needs */
    {0, NULL},
};

static struct PyModuleDef fast_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "luagauge._fast",
    .m_doc = "The entries of luagauge that keep the GIL.",
    .m_size = sizeof(struct lg_fast_state),
    .m_methods = fast_methods,
    .m_slots = fast_slots,
    .m_traverse = fast_traverse,
    .m_clear = fast_clear,
    .m_free = fast_free,
};

PyMODINIT_FUNC PyInit__fast(void);
PyMODINIT_FUNC PyInit__fast(void) { return PyModuleDef_Init(&fast_module); }
