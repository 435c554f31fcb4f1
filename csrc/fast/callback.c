/* What the core calls back for during a run: host functions, and Python's signal handlers. Both hold no GIL on entry. */
#include "engine.h"

#include "convert.h"

/* Keep the exception that is set as the run's cause. */
static void keep_exception(struct lg_engine *engine) {
  PyObject *type = NULL;
  PyObject *value = NULL;
  PyObject *traceback = NULL;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (value != NULL && traceback != NULL) {
    (void)PyException_SetTraceback(value, traceback);
  }
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  PyObject *old = engine->cause;
  engine->cause = value;
  Py_XDECREF(old);
}

/* Whether the exception that is set is KeyboardInterrupt, SystemExit, ...: not the script's to catch. */
static int is_fatal(void) { return !PyErr_ExceptionMatches(PyExc_Exception); }

/* "name: ValueError: text" into `result`: 1, or 2 when asking for the text ended in what is not the script's to catch.
 * Where there is no text to be had (__str__ raises, no memory) the message says less. */
static int describe_exception(struct lg_engine *engine, int index, struct lg_buf *result) {
  PyObject *type = PyObject_GetAttrString((PyObject *)Py_TYPE(engine->cause), "__name__");
  PyObject *name = PyTuple_GetItem(engine->names, index);
  PyObject *text = type == NULL ? NULL : PyUnicode_FromFormat("%U: %S: %S", name, type, engine->cause);
  PyObject *encoded = text == NULL ? NULL : PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
  const char *utf8 = encoded == NULL ? NULL : PyBytes_AsString(encoded);
  size_t size = encoded == NULL ? 0 : (size_t)PyBytes_Size(encoded);
  int rc = 1;
  result->len = 0;
  if (utf8 == NULL && is_fatal()) {
    keep_exception(engine);
    rc = 2;
  } else if (utf8 == NULL || lg_buf_append(result, utf8, lg_utf8_cut(utf8, size, 65536)) != 0) {
    PyErr_Clear();
    (void)lg_buf_append(result, "a host function failed", 22);
  }
  Py_XDECREF(encoded);
  Py_XDECREF(text);
  Py_XDECREF(type);
  return rc;
}

static int failed_callback(struct lg_engine *engine, int index, struct lg_buf *result) {
  int fatal = is_fatal();
  keep_exception(engine);
  return fatal || engine->cause == NULL ? 2 : describe_exception(engine, index, result);
}

static int call_function(struct lg_engine *engine, int index, const struct lg_buf *args, struct lg_buf *result) {
  const unsigned char *at = args->data;
  PyObject *arguments = lg_decode(&at, args->data + args->len);
  PyObject *function = PyTuple_GetItem(engine->functions, index);
  PyObject *answer = arguments == NULL ? NULL : PyObject_Call(function, arguments, NULL);
  Py_XDECREF(arguments);
  if (answer == NULL) {
    return failed_callback(engine, index, result);
  }
  int rc = lg_encode(engine->fast, answer, "return value", engine->max_int, result);
  Py_DECREF(answer);
  return rc < 0 ? failed_callback(engine, index, result) : 0;
}

int lg_engine_call(void *host, int index, const struct lg_buf *args, struct lg_buf *result) {
  struct lg_engine *engine = host;
  PyEval_RestoreThread(engine->thread);
  int rc = call_function(engine, index, args, result);
  engine->thread = PyEval_SaveThread();
  return rc;
}

int lg_engine_tick(void *host) {
  struct lg_engine *engine = host;
  PyEval_RestoreThread(engine->thread);
  int rc = PyErr_CheckSignals();
  if (rc != 0) {
    keep_exception(engine);
  }
  engine->thread = PyEval_SaveThread();
  return rc;
}
