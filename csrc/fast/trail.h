/* Where in the data a walk is, for the paths that errors name.
 *
 * Contract: with the GIL. lg_shown() and lg_trail_path() run code of Python's: a __repr__ may change what is walked over. */
#ifndef LG_TRAIL_H
#define LG_TRAIL_H

#include "fast.h"
/* After Python.h, which sets what the system headers declare: */
#include "../guard/wire.h"

struct lg_trail {
  const char *root; /* what the path begins with */
  int depth;
  PyObject *open[LG_WIRE_MAX_DEPTH];   /* borrowed: containers being encoded */
  PyObject *key[LG_WIRE_MAX_DEPTH];    /* borrowed: the key in each, NULL in a sequence */
  Py_ssize_t index[LG_WIRE_MAX_DEPTH]; /* the index in a sequence */
};

/* repr(object), cut to `most` characters; what cannot be shown (too many digits, a __repr__ that raises) by its type. NULL with
 * an exception. */
PyObject *lg_shown(PyObject *object, Py_ssize_t most);

/* The path of the value at hand as Python text, such as request.items[3].when; NULL with an exception. */
PyObject *lg_trail_path(const struct lg_trail *trail);

#endif
