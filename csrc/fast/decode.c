/* Wire bytes -> Python objects. */
#include "convert.h"

#include "../guard/wire.h"

PyObject *lg_decode_text(const void *bytes, size_t len) {
  PyObject *text = PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)len, NULL);
  if (text != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
    return text;
  }
  PyErr_Clear();
  return PyBytes_FromStringAndSize(bytes, (Py_ssize_t)len);
}

/* The core wrote these bytes a moment ago in this process, so running out of them is a bug, not an input. */
static int take(const unsigned char **at, const unsigned char *end, void *out, size_t n) {
  if ((size_t)(end - *at) < n) {
    PyErr_SetString(PyExc_SystemError, "luagauge: truncated data from the core");
    return -1;
  }
  memcpy(out, *at, n);
  *at += n;
  return 0;
}

static PyObject *decode_string(const unsigned char **at, const unsigned char *end, uint64_t n) {
  if (n > (uint64_t)(end - *at)) {
    PyErr_SetString(PyExc_SystemError, "luagauge: truncated data from the core");
    return NULL;
  }
  const unsigned char *s = *at;
  *at += n;
  return lg_decode_text(s, (size_t)n);
}

static PyObject *decode_list(const unsigned char **at, const unsigned char *end, Py_ssize_t n) {
  PyObject *list = PyList_New(n);
  for (Py_ssize_t i = 0; i < n && list != NULL; i++) {
    PyObject *item = lg_decode(at, end);
    if (item == NULL || PyList_SetItem(list, i, item) < 0) {
      Py_CLEAR(list);
    }
  }
  return list;
}

static PyObject *decode_tuple(const unsigned char **at, const unsigned char *end, Py_ssize_t n) {
  PyObject *tuple = PyTuple_New(n);
  for (Py_ssize_t i = 0; i < n && tuple != NULL; i++) {
    PyObject *item = lg_decode(at, end);
    if (item == NULL || PyTuple_SetItem(tuple, i, item) < 0) {
      Py_CLEAR(tuple);
    }
  }
  return tuple;
}

static PyObject *decode_dict(const unsigned char **at, const unsigned char *end, Py_ssize_t n) {
  PyObject *dict = PyDict_New();
  for (Py_ssize_t i = 0; i < n && dict != NULL; i++) {
    PyObject *key = lg_decode(at, end);
    PyObject *value = key == NULL ? NULL : lg_decode(at, end);
    if (value == NULL || PyDict_SetItem(dict, key, value) < 0) {
      Py_CLEAR(dict);
    }
    Py_XDECREF(key);
    Py_XDECREF(value);
  }
  return dict;
}

static PyObject *decode_container(int tag, const unsigned char **at, const unsigned char *end) {
  uint64_t count = 0;
  PyObject *made = NULL;
  if (take(at, end, &count, sizeof count) < 0) {
    return NULL;
  }
  if (count > (uint64_t)(end - *at)) {
    PyErr_SetString(PyExc_SystemError, "luagauge: impossible count from the core");
    return NULL;
  }
  if (Py_EnterRecursiveCall(" while reading a script's output")) {
    return NULL;
  }
  Py_ssize_t n = (Py_ssize_t)count;
  made = tag == LG_W_LIST    ? decode_list(at, end, n)
         : tag == LG_W_TUPLE ? decode_tuple(at, end, n)
                             : decode_dict(at, end, n);
  Py_LeaveRecursiveCall();
  return made;
}

PyObject *lg_decode(const unsigned char **at, const unsigned char *end) {
  unsigned char tag = 0;
  int64_t i = 0;
  double d = 0;
  uint32_t n32 = 0;
  uint64_t n64 = 0;
  if (take(at, end, &tag, 1) < 0) {
    return NULL;
  }
  switch (tag) {
    case LG_W_NIL: Py_RETURN_NONE;
    case LG_W_TRUE: Py_RETURN_TRUE;
    case LG_W_FALSE: Py_RETURN_FALSE;
    case LG_W_INT: return take(at, end, &i, sizeof i) < 0 ? NULL : PyLong_FromLongLong(i);
    case LG_W_FLOAT: return take(at, end, &d, sizeof d) < 0 ? NULL : PyFloat_FromDouble(d);
    case LG_W_STR: return take(at, end, &n32, sizeof n32) < 0 ? NULL : decode_string(at, end, n32);
    case LG_W_LONGSTR: return take(at, end, &n64, sizeof n64) < 0 ? NULL : decode_string(at, end, n64);
    case LG_W_LIST:
    case LG_W_TUPLE:
    case LG_W_MAP: return decode_container(tag, at, end);
    default: PyErr_SetString(PyExc_SystemError, "luagauge: unknown tag from the core"); return NULL;
  }
}
