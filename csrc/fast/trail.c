#include "trail.h"

PyObject *lg_shown(PyObject *object, Py_ssize_t most) {
  PyObject *text = PyObject_Repr(object);
  if (text == NULL && PyErr_ExceptionMatches(PyExc_Exception)) {
    PyErr_Clear();
    PyObject *type = PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__name__");
    text = type == NULL ? NULL : PyUnicode_FromFormat("<unprintable %S>", type);
    Py_XDECREF(type);
  }
  if (text != NULL && PyUnicode_GetLength(text) > most) {
    PyObject *cut = PyUnicode_Substring(text, 0, most);
    Py_DECREF(text);
    text = cut;
  }
  return text;
}

/* path + step; the first step stands without its dot. */
static PyObject *joined(PyObject *path, PyObject *step) {
  if (PyUnicode_GetLength(path) == 0 && PyUnicode_ReadChar(step, 0) == '.') {
    return PyUnicode_Substring(step, 1, PyUnicode_GetLength(step));
  }
  return PyUnicode_Concat(path, step);
}

/* One step of a path: ".name" or "[key]"; without a key the index. */
static PyObject *step_of(PyObject *key, Py_ssize_t index) {
  if (key == NULL) {
    return PyUnicode_FromFormat("[%zd]", index);
  }
  if (PyUnicode_Check(key) && PyUnicode_IsIdentifier(key)) {
    return PyUnicode_FromFormat(".%U", key);
  }
  PyObject *text = lg_shown(key, 80);
  PyObject *step = text == NULL ? NULL : PyUnicode_FromFormat("[%U]", text);
  Py_XDECREF(text);
  return step;
}

PyObject *lg_trail_path(const struct lg_trail *trail) {
  PyObject *path = PyUnicode_FromString(trail->root);
  for (int i = 0; i < trail->depth && path != NULL; i++) {
    PyObject *step = step_of(trail->key[i], trail->index[i]);
    PyObject *longer = step == NULL ? NULL : joined(path, step);
    Py_XDECREF(step);
    Py_DECREF(path);
    path = longer;
  }
  return path;
}
