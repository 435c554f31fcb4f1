/* _fast.State as the module sees it: engine_type.c, or engine_absent.c where there is no core to run Lua with. */
#ifndef LG_ENGINE_TYPE_H
#define LG_ENGINE_TYPE_H

#include "fast.h"

/* Add the type, state() and resolve() to the module. 0 or -1. */
int lg_engine_add(PyObject *module, struct lg_fast_state *state);

#endif
