/* engine_type.h where there is only the probe (core_probe.c): no Lua state can be made, and resolve() finds nothing. */
#include "engine_type.h"

static PyObject *absent_resolve(PyObject *module, PyObject *args) {
  (void)module;
  const char *instance = NULL;
  const char *path = NULL;
  if (!PyArg_ParseTuple(args, "ss", &instance, &path)) {
    return NULL;
  }
  return Py_BuildValue("(is)", 0, "every call of it");
}

static PyMethodDef absent_functions[] = {
    {"resolve", absent_resolve, METH_VARARGS, "resolve(instance, path) -> (0, what is missing)"},
    {NULL, NULL, 0, NULL},
};

int lg_engine_add(PyObject *module, struct lg_fast_state *state) {
  (void)state;
  return PyModule_AddFunctions(module, absent_functions);
}
