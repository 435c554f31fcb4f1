/* The ScriptResult of a run: its report and buffers as Python objects. */
#include "engine.h"

#include "../guard/wire.h"
#include "convert.h"

static const double bytes_per_mb = 1048576.0;

static PyObject *none(void) { Py_RETURN_NONE; }

/* A log entry's level: a word by its nature, so what is not UTF-8 in it is shown escaped. */
static PyObject *decode_level(const unsigned char **at, const unsigned char *end) {
  PyObject *level = lg_decode(at, end);
  if (level == NULL || PyUnicode_Check(level)) {
    return level;
  }
  PyObject *text = PyUnicode_FromEncodedObject(level, "utf-8", "backslashreplace");
  Py_DECREF(level);
  return text;
}

/* A size as Py_ssize_t; what a script asked for in vain can be more than that holds. */
static Py_ssize_t clip_size(size_t size) { return size > (size_t)PY_SSIZE_T_MAX ? PY_SSIZE_T_MAX : (Py_ssize_t)size; }

/* The log entries: level, message and time are three wire values each. */
static PyObject *make_logs(struct lg_engine *engine) {
  const struct lg_state *st = engine->st;
  const unsigned char *at = st->answer.logs.data;
  const unsigned char *end = at + st->answer.logs.len;
  PyObject *logs = PyTuple_New((Py_ssize_t)st->answer.log_entries);
  for (size_t i = 0; i < st->answer.log_entries && logs != NULL; i++) {
    PyObject *time = lg_decode(&at, end);
    PyObject *level = time == NULL ? NULL : decode_level(&at, end);
    PyObject *message = level == NULL ? NULL : lg_decode(&at, end);
    const struct lg_fast_field fields[] = {{LG_NAME_level, level}, {LG_NAME_message, message}, {LG_NAME_time, time}};
    PyObject *entry = lg_fast_make(engine->fast, LG_FAST_LOG_ENTRY, fields, 3);
    if (entry == NULL || PyTuple_SetItem(logs, (Py_ssize_t)i, entry) < 0) {
      Py_CLEAR(logs);
    }
  }
  return logs;
}

static PyObject *make_delta(struct lg_engine *engine, const struct lg_report *rp) {
  int known = rp->before.heap_bytes != LG_PROBE_UNKNOWN && rp->after.heap_bytes != LG_PROBE_UNKNOWN;
  const struct lg_fast_field fields[] = {
      {LG_NAME_heap_delta_bytes, known ? PyLong_FromLongLong(rp->after.heap_bytes - rp->before.heap_bytes) : none()},
      {LG_NAME_rss_delta_bytes, PyLong_FromLongLong(rp->after.rss_bytes - rp->before.rss_bytes)},
      {LG_NAME_duration, PyFloat_FromDouble(rp->after.timestamp - rp->before.timestamp)},
  };
  return lg_fast_make(engine->fast, LG_FAST_MEMORY_DELTA, fields, 3);
}

static PyObject *make_memory(struct lg_engine *engine, const struct lg_report *rp) {
  PyObject *source = engine->fast->source_allocator;
  Py_INCREF(source);
  const struct lg_fast_field fields[] = {
      {LG_NAME_start_bytes, PyLong_FromSize_t(rp->start_bytes)},
      {LG_NAME_end_bytes, PyLong_FromSize_t(rp->end_bytes)},
      {LG_NAME_peak_bytes, PyLong_FromSize_t(rp->peak_bytes)},
      {LG_NAME_allocated_bytes, PyLong_FromUnsignedLongLong(rp->allocated_bytes)},
      {LG_NAME_allocation_count, PyLong_FromUnsignedLongLong(rp->allocation_count)},
      {LG_NAME_refused_allocations, PyLong_FromUnsignedLongLong(rp->refused_allocations)},
      {LG_NAME_reserved_bytes, PyLong_FromSize_t(rp->reserved_bytes)},
      {LG_NAME_process, rp->process_status == LG_OK ? make_delta(engine, rp) : none()},
      {LG_NAME_process_shared, PyBool_FromLong(rp->process_shared)},
      {LG_NAME_source, source},
  };
  return lg_fast_make(engine->fast, LG_FAST_SCRIPT_MEMORY, fields, sizeof fields / sizeof fields[0]);
}

static PyObject *text_in(const struct lg_buf *b) {
  return lg_decode_text(b->data == NULL ? (const void *)"" : b->data, b->len);
}

/* Ask Python for the error: run_error(config, outcome, message, line, traceback, path, figures, cause). */
static PyObject *make_error(struct lg_engine *engine, const struct lg_report *rp) {
  const struct lg_state *st = engine->st;
  /* Nothing is decoded once something failed: what is not UTF-8 clears the exception that is set. */
  PyObject *message = text_in(&st->answer.message);
  PyObject *traceback = message == NULL ? NULL : text_in(&st->answer.traceback);
  PyObject *path = traceback == NULL ? NULL : text_in(&st->answer.path);
  PyObject *cause = (rp->cause || rp->outcome == LG_RUN_CALLBACK) && engine->cause != NULL ? engine->cause : Py_None;
  PyObject *error = NULL;
  if (path != NULL) {
    error = PyObject_CallFunction(engine->fast->objects[LG_FAST_RUN_ERROR], "OiOiOO(nnni)O", engine->config,
                                  rp->outcome, message, rp->line, traceback, path, (Py_ssize_t)rp->start_bytes,
                                  clip_size(rp->wanted_bytes > rp->peak_bytes ? rp->wanted_bytes : rp->peak_bytes),
                                  (Py_ssize_t)rp->output_bytes, rp->os_error, cause);
  }
  Py_XDECREF(message);
  Py_XDECREF(traceback);
  Py_XDECREF(path);
  return error;
}

static PyObject *make_output(const struct lg_state *st, const struct lg_report *rp) {
  if (rp->outcome != LG_RUN_OK || st->answer.output.len == 0) {
    return none();
  }
  const unsigned char *at = st->answer.output.data;
  return lg_decode(&at, at + st->answer.output.len);
}

PyObject *lg_engine_result(struct lg_engine *engine, const struct lg_report *rp) {
  const struct lg_state *st = engine->st;
  int tracked = engine->limits.measure_process;
  if (tracked && engine->raise_on_probe_error && rp->process_status != LG_OK) {
    return lg_fast_raise_status(engine->fast, rp->process_status, rp->process_os_error,
                                "reading the memory of this process");
  }
  PyObject *error = rp->outcome == LG_RUN_OK ? none() : make_error(engine, rp);
  PyObject *output = error == NULL ? NULL : make_output(st, rp);
  PyObject *logs = output == NULL ? NULL : make_logs(engine);
  if (logs == NULL) {
    Py_XDECREF(output);
    Py_XDECREF(error);
    return NULL;
  }
  PyObject *stopped = rp->stopped == LG_STOPPED_NOT ? Py_None : engine->fast->stopped[rp->stopped - 1];
  Py_INCREF(stopped);
  double used = (double)(rp->peak_bytes - rp->start_bytes) / bytes_per_mb;
  const struct lg_fast_field fields[] = {
      {LG_NAME_success, PyBool_FromLong(rp->outcome == LG_RUN_OK)},
      {LG_NAME_output, output},
      {LG_NAME_logs, logs},
      {LG_NAME_logs_dropped, PyLong_FromUnsignedLongLong(rp->logs_dropped)},
      {LG_NAME_duration_ms, PyFloat_FromDouble((double)rp->duration_ns * 1e-6)},
      {LG_NAME_memory_used_mb, tracked ? PyFloat_FromDouble(used) : none()},
      {LG_NAME_error, error},
      {LG_NAME_memory, tracked ? make_memory(engine, rp) : none()},
      {LG_NAME_stopped, stopped},
      {LG_NAME_jit_off, PyBool_FromLong(st->ops->compiler_off)},
  };
  return lg_fast_make(engine->fast, LG_FAST_SCRIPT_RESULT, fields, sizeof fields / sizeof fields[0]);
}
