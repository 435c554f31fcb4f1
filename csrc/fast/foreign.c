#include "foreign.h"

int lg_foreign_find(struct lg_foreign *foreign, PyObject *object, PyObject **form) {
  if (foreign->forms != NULL) {
    PyObject *address = PyLong_FromVoidPtr(object);
    PyObject *pair = address == NULL ? NULL : PyDict_GetItemWithError(foreign->forms, address);
    Py_XDECREF(address);
    if (pair != NULL) {
      *form = PyTuple_GetItem(pair, 1);
      return 1;
    }
    if (PyErr_Occurred()) {
      return -1;
    }
  }
  if (lg_buf_append(&foreign->met, (const void *)&object, sizeof(PyObject *)) != 0) {
    (void)PyErr_NoMemory();
    return -1;
  }
  Py_INCREF(object);
  return 0;
}

/* A value that is there many times was met many times, and is asked about once. */
static int is_known(struct lg_foreign *foreign, PyObject *address) {
  return PyDict_GetItemWithError(foreign->forms, address) != NULL;
}

/* Keep the form of one value, and the value: its address must not become another's. 1 where it is refused, 0, or -1. */
static int ask_about(struct lg_foreign *foreign, struct lg_fast_state *state, PyObject *object, PyObject *root) {
  PyObject *address = PyLong_FromVoidPtr(object);
  if (address == NULL || is_known(foreign, address)) {
    Py_XDECREF(address);
    return address == NULL ? -1 : 0;
  }
  PyObject *form = PyObject_CallFunctionObjArgs(state->objects[LG_FAST_FOREIGN_FORM], object, root, NULL);
  int refused = form != NULL && PyUnicode_Check(form);
  PyObject *pair = form == NULL ? NULL : PyTuple_Pack(2, object, form);
  int rc = pair == NULL ? -1 : PyDict_SetItem(foreign->forms, address, pair);
  Py_XDECREF(pair);
  Py_XDECREF(form);
  Py_DECREF(address);
  return rc < 0 ? -1 : refused;
}

static void drop_met(struct lg_buf *met) {
  for (size_t at = 0; at < met->len; at += sizeof(PyObject *)) {
    PyObject *object = NULL;
    memcpy((void *)&object, met->data + at, sizeof(PyObject *));
    Py_DECREF(object);
  }
  lg_buf_free(met);
}

int lg_foreign_ask(struct lg_foreign *foreign, struct lg_fast_state *state, const char *root) {
  struct lg_buf met = foreign->met;
  foreign->met = (struct lg_buf){NULL, 0, 0};
  if (foreign->forms == NULL) {
    foreign->forms = PyDict_New();
  }
  PyObject *name = PyUnicode_FromString(root);
  int rc = foreign->forms == NULL || name == NULL ? -1 : 0;
  for (size_t at = 0; at < met.len && rc == 0; at += sizeof(PyObject *)) {
    PyObject *object = NULL;
    memcpy((void *)&object, met.data + at, sizeof(PyObject *));
    rc = ask_about(foreign, state, object, name); /* the first that is refused ends the next walk */
  }
  Py_XDECREF(name);
  drop_met(&met);
  return rc < 0 ? -1 : 0;
}

void lg_foreign_free(struct lg_foreign *foreign) {
  drop_met(&foreign->met);
  Py_CLEAR(foreign->forms);
}
