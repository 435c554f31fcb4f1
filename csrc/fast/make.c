/* Objects of the package, made without its Python code, and errors raised. */
#include "fast.h"

/* The slot's descriptor sets it; a frozen dataclass refuses only in its own __setattr__. */
static int set_attribute(struct lg_fast_state *state, enum lg_fast_object type, PyObject *made,
                         const struct lg_fast_field *field) {
  struct lg_fast_slot *slot = &state->slots[type - LG_FAST_CALLABLES][field->name];
  if (slot->descriptor == NULL) {
    PyObject *descriptor = PyObject_GetAttr(state->objects[type], state->names[field->name]);
    if (descriptor == NULL) {
      return -1;
    }
    *(void **)&slot->set = PyType_GetSlot(Py_TYPE(descriptor), Py_tp_descr_set); /* ISO C has no cast for this */
    if (slot->set == NULL) {
      PyErr_Format(PyExc_TypeError, "%R is no slot that can be set", descriptor);
      Py_DECREF(descriptor);
      return -1;
    }
    slot->descriptor = descriptor;
  }
  return slot->set(slot->descriptor, made, field->value);
}

PyObject *lg_fast_make(struct lg_fast_state *state, enum lg_fast_object type, const struct lg_fast_field *fields,
                       size_t count) {
  PyObject *made = NULL;
  int failed = 0;
  for (size_t i = 0; i < count; i++) {
    failed |= fields[i].value == NULL;
  }
  if (!failed) {
    made = PyType_GenericAlloc((PyTypeObject *)state->objects[type], 0);
    failed = made == NULL;
  }
  for (size_t i = 0; i < count; i++) {
    if (!failed && set_attribute(state, type, made, &fields[i]) < 0) {
      failed = 1;
    }
    Py_XDECREF(fields[i].value);
  }
  if (failed) {
    Py_CLEAR(made);
  }
  return made;
}

PyObject *lg_fast_raise(PyObject *error) {
  if (error != NULL) {
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
  }
  return NULL;
}

PyObject *lg_fast_raise_status(struct lg_fast_state *state, int status, int os_error, const char *what) {
  return lg_fast_raise(PyObject_CallFunction(state->objects[LG_FAST_STATUS_ERROR], "iis", status, os_error, what));
}

PyObject *lg_fast_raise_from(struct lg_fast_state *state, enum lg_fast_object callable) {
  return lg_fast_raise(PyObject_CallFunctionObjArgs(state->objects[callable], NULL));
}

void lg_fast_forget_slots(struct lg_fast_state *state) {
  for (size_t type = 0; type < LG_FAST_OBJECT_COUNT - LG_FAST_CALLABLES; type++) {
    for (size_t name = 0; name < LG_NAME_COUNT; name++) {
      Py_CLEAR(state->slots[type][name].descriptor);
    }
  }
}
