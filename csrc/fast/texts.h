/* The UTF-8 of the texts among a dict's keys, to be asked whether bytes are one of them.
 *
 * With the GIL. No Python object is made, only memory of the C library's: before CPython 3.12 a new container can start
 * the collector, and with it any Python code. What is held points into the keys, so the dict must not change meanwhile. */
#ifndef LG_TEXTS_H
#define LG_TEXTS_H

#include "fast.h"

struct lg_texts {
  struct lg_text *sorted; /* NULL until filled; from PyMem_Malloc */
  size_t count;
};

/* Take the texts of `dict`. 0; -1 with MemoryError set; 1 where one has no UTF-8: then *bad is that key, a new reference. */
int lg_texts_fill(struct lg_texts *texts, PyObject *dict, PyObject **bad);

/* Whether these bytes are one of the texts. */
int lg_texts_have(const struct lg_texts *texts, const char *bytes, size_t len);

/* Forget them; the texts are empty and usable afterwards. */
void lg_texts_free(struct lg_texts *texts);

#endif
