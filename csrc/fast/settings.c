/* What the host sets, read from its ScriptConfig by name. A setting is one line of a table here. */
#include "engine.h"

/* What a setting is in Python, and what the core has for it. */
enum kind {
  MIB,    /* a number of MiB, or None: size_t bytes, LG_NO_LIMIT for None */
  MS,     /* a number of milliseconds, or None: int64_t nanoseconds, 0 for None */
  COUNT,  /* a whole number, or None: int64_t, 0 for None */
  SIZE,   /* a whole number: size_t */
  FLAG,   /* True or False: int */
  UNLESS, /* True or False: int, the other way round */
  RAISE,  /* "raise" or another text: int, whether it is the former */
  SEED,   /* a whole number of 64 bits, or None: struct lg_seed */
  CLOCK   /* a number of seconds, a datetime, a callable or None: struct lg_clock, frozen for the former two */
};

struct setting {
  const char *name;
  enum kind kind;
  size_t offset; /* in struct lg_engine */
};

static const struct setting of_config[] = {
    {"memory_limit_mb", MIB, offsetof(struct lg_engine, limits.memory_limit)},
    {"timeout_ms", MS, offsetof(struct lg_engine, limits.timeout_ns)},
    {"cpu_time_ms", MS, offsetof(struct lg_engine, limits.cpu_ns)},
    {"max_instructions", COUNT, offsetof(struct lg_engine, limits.max_instructions)},
    {"deadline_includes_callbacks", UNLESS, offsetof(struct lg_engine, limits.exclude_callbacks)},
    {"max_output_size", SIZE, offsetof(struct lg_engine, limits.max_output)},
    {"max_log_size", SIZE, offsetof(struct lg_engine, limits.max_log_bytes)},
    {"max_log_entries", SIZE, offsetof(struct lg_engine, limits.max_log_entries)},
    {"random_seed", SEED, offsetof(struct lg_engine, seed)},
    {"clock", CLOCK, offsetof(struct lg_engine, clock)},
    {"hard_stop", UNLESS, offsetof(struct lg_engine, no_hard_stop)},
};

static const struct setting of_tracking[] = {
    {"enabled", FLAG, offsetof(struct lg_engine, limits.measure_process)},
    {"on_error", RAISE, offsetof(struct lg_engine, raise_on_probe_error)},
};

/* A bound of 64 bits as a size, which may have 32. */
static size_t as_size(unsigned long long bound) { return bound > SIZE_MAX ? SIZE_MAX : (size_t)bound; }

/* A number times its unit, at least 1: 0 would be no limit. Of a subclass that does not check what it is given it may be
 * anything: below 2^63, or an exception. */
static long long in_units(PyObject *value, double unit) {
  double amount = PyFloat_AsDouble(value) * unit;
  if (!(amount < 0x1p63)) {
    PyErr_SetString(PyExc_OverflowError, "more than the core can count");
    return 1;
  }
  return amount < 1 ? 1 : (long long)amount;
}

static struct lg_seed seed_of(PyObject *value) {
  struct lg_seed seed = {0, 0, 0};
  if (value != Py_None) {
    seed = (struct lg_seed){1, PyLong_AsUnsignedLongLongMask(value), PyLong_AsDouble(value)};
  }
  return seed;
}

/* A callable is a function of the host's (LG_CLOCK_NAME), and no matter of this. */
static struct lg_clock clock_of(PyObject *value) {
  struct lg_clock clock = {0, 0, 0, 0};
  if (value == Py_None || PyCallable_Check(value)) {
    return clock;
  }
  PyObject *seconds = NULL;
  if (PyFloat_Check(value) || PyLong_Check(value)) {
    seconds = value;
    Py_INCREF(value);
  } else {
    seconds = PyObject_CallMethod(value, "timestamp", NULL);
  }
  if (seconds != NULL) {
    clock.frozen = 1;
    clock.seconds = PyFloat_AsDouble(seconds);
    Py_DECREF(seconds);
  }
  return clock;
}

/* Store a value; where it is of another kind, an exception is set. */
static void store(enum kind kind, PyObject *value, void *at) {
  switch (kind) {
    case MIB:
      *(size_t *)at = value == Py_None ? LG_NO_LIMIT : as_size((unsigned long long)in_units(value, 0x1p20));
      break;
    case MS: *(int64_t *)at = value == Py_None ? 0 : in_units(value, 1e6); break;
    case COUNT: *(int64_t *)at = value == Py_None ? 0 : PyLong_AsLongLong(value); break;
    case SIZE: *(size_t *)at = as_size(PyLong_AsUnsignedLongLong(value)); break;
    case FLAG: *(int *)at = PyObject_IsTrue(value); break;
    case UNLESS: *(int *)at = !PyObject_IsTrue(value); break;
    case SEED: *(struct lg_seed *)at = seed_of(value); break;
    case CLOCK: *(struct lg_clock *)at = clock_of(value); break;
    case RAISE: *(int *)at = PyUnicode_Check(value) && PyUnicode_CompareWithASCIIString(value, "raise") == 0; break;
  }
}

static int read_all(struct lg_engine *engine, PyObject *from, const struct setting *settings, size_t count) {
  for (const struct setting *one = settings; one < settings + count; one++) {
    PyObject *value = PyObject_GetAttrString(from, one->name);
    if (value == NULL) { /* the exception names it */
      return -1;
    }
    store(one->kind, value, (char *)engine + one->offset);
    int failed = PyErr_Occurred() != NULL;
    /* Ctrl-C and a lack of memory say nothing about the value. */
    if (failed && PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
      PyErr_Format(PyExc_TypeError, "the core cannot read the setting %s: %.200R", one->name, value);
    }
    Py_DECREF(value);
    if (failed) {
      return -1;
    }
  }
  return 0;
}

int lg_engine_settings(struct lg_engine *engine, PyObject *config) {
  if (read_all(engine, config, of_config, sizeof of_config / sizeof *of_config) < 0) {
    return -1;
  }
  PyObject *tracking = PyObject_GetAttrString(config, "memory_tracking");
  int rc = tracking == NULL ? -1 : read_all(engine, tracking, of_tracking, sizeof of_tracking / sizeof *of_tracking);
  Py_XDECREF(tracking);
  return rc;
}
