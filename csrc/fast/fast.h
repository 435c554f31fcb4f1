/* _fast: the few entries that need Python objects, in CPython's limited API (3.10), beside the cffi module.
 *
 * It holds no C of the core: it reaches that through the table that bind() was given (lg_core.h). Every function
 * here needs the GIL and follows Python's own rule: NULL or -1 means that an exception is set.
 * State is per module object, so every interpreter has its own. It is written by bind() and set_types() only, which
 * luagauge._binding calls once, at import. */
#ifndef LG_FAST_H
#define LG_FAST_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../lg_core.h"

/* The Python objects that set_types() registers by name; the names stand in fastmodule.c in this order. */
enum lg_fast_object {
  LG_FAST_STATUS_ERROR,        /* callable (status, os_error, what) -> the exception to raise */
  LG_FAST_SERIALIZATION_ERROR, /* callable (why, path) -> the exception to raise */
  LG_FAST_FOREIGN_FORM,        /* callable (value, root) -> a dict of what it holds, or why it has no form in Lua */
  LG_FAST_KEY_REFUSAL,         /* callable (key) -> why it is no key in Lua */
  LG_FAST_RUN_ERROR,           /* callable (config, outcome, message, line, traceback, path, figures, cause) -> error */
  LG_FAST_BUSY_ERROR,          /* callable () -> exception */
  LG_FAST_CLOSED_ERROR,        /* callable () -> exception */
  LG_FAST_CALLABLES,           /* all above are callables, all below are types */
  LG_FAST_MEMORY_SNAPSHOT = LG_FAST_CALLABLES,
  LG_FAST_MEMORY_DELTA,
  LG_FAST_LOG_ENTRY,
  LG_FAST_SCRIPT_MEMORY,
  LG_FAST_SCRIPT_RESULT,
  LG_FAST_OBJECT_COUNT
};

/* The attributes that C fills, of all the value types. */
#define LG_FAST_NAMES(X)                                                                                               \
  X(heap_size_bytes)                                                                                                   \
  X(rss_bytes)                                                                                                         \
  X(timestamp)                                                                                                         \
  X(heap_delta_bytes)                                                                                                  \
  X(rss_delta_bytes)                                                                                                   \
  X(duration)                                                                                                          \
  X(level)                                                                                                             \
  X(message)                                                                                                           \
  X(time)                                                                                                              \
  X(start_bytes)                                                                                                       \
  X(end_bytes)                                                                                                         \
  X(peak_bytes)                                                                                                        \
  X(allocated_bytes)                                                                                                   \
  X(allocation_count)                                                                                                  \
  X(refused_allocations)                                                                                               \
  X(reserved_bytes)                                                                                                    \
  X(process)                                                                                                           \
  X(process_shared)                                                                                                    \
  X(source)                                                                                                            \
  X(success)                                                                                                           \
  X(output)                                                                                                            \
  X(logs)                                                                                                              \
  X(logs_dropped)                                                                                                      \
  X(duration_ms)                                                                                                       \
  X(memory_used_mb)                                                                                                    \
  X(error)                                                                                                             \
  X(memory)                                                                                                            \
  X(stopped)                                                                                                           \
  X(jit_off)

enum lg_fast_name {
#define LG_FAST_NAME(name) LG_NAME_##name,
  LG_FAST_NAMES(LG_FAST_NAME)
#undef LG_FAST_NAME
      LG_NAME_COUNT
};

/* The descriptor of one attribute of a value type, and what sets it: looking both up costs more than setting. */
struct lg_fast_slot {
  PyObject *descriptor; /* NULL until the attribute is first set */
  descrsetfunc set;
};

struct lg_fast_state {
  const struct lg_core *core;              /* NULL until bind(); lives as long as the process */
  PyObject *objects[LG_FAST_OBJECT_COUNT]; /* NULL until set_types() */
  PyObject *names[LG_NAME_COUNT];          /* interned */
  struct lg_fast_slot slots[LG_FAST_OBJECT_COUNT - LG_FAST_CALLABLES][LG_NAME_COUNT]; /* of the registered types */
  PyObject *source_allocator;                                                         /* the text "allocator" */
  PyObject *stopped[2];      /* the texts "error" and "state" */
  PyTypeObject *engine_type; /* _fast.State */
};

/* One attribute of a value to be made. */
struct lg_fast_field {
  enum lg_fast_name name;
  PyObject *value; /* a new reference, which lg_fast_make takes whatever happens; NULL if making it failed */
};

/* The state of a module whose bind() and set_types() have been called; NULL with RuntimeError otherwise. */
struct lg_fast_state *lg_fast_ready(PyObject *module);

/* A new instance of a registered frozen slotted dataclass, its slots filled, without __init__ or __post_init__ being run:
 * the values come from C, which has already checked them. Takes every field's reference even when it fails. A NULL value
 * makes it fail with the exception that is already set, so calls that make values can be written in place. */
PyObject *lg_fast_make(struct lg_fast_state *state, enum lg_fast_object type, const struct lg_fast_field *fields,
                       size_t count);

/* Let go what is known of the attributes of the registered types. */
void lg_fast_forget_slots(struct lg_fast_state *state);

/* Raise `error`, a new reference that is taken; with NULL the exception that is set stays. Always returns NULL. */
PyObject *lg_fast_raise(PyObject *error);

/* Raise what the registered callable without arguments makes. Always returns NULL. */
PyObject *lg_fast_raise_from(struct lg_fast_state *state, enum lg_fast_object callable);

/* Sets the exception that `status` (not LG_OK) stands for; `what` says what was attempted. Always returns NULL. */
PyObject *lg_fast_raise_status(struct lg_fast_state *state, int status, int os_error, const char *what);

#endif
