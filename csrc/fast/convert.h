/* Python objects <-> wire bytes (guard/wire.h).
 *
 * With the GIL. Encoding reads the exact storage of the basic types and their subclasses. While it walks over the data
 * it runs no Python code and makes no container, which before CPython 3.12 could start the collector and with it any
 * finalizer: so nothing changes underneath, and what is written is the data as it was at one moment. (foreign.h says when
 * a walk is done again; one that ends in an error may run what it likes.) Decoding makes new objects only. */
#ifndef LG_CONVERT_H
#define LG_CONVERT_H

#include "../guard/buf.h"
#include "fast.h"

/* Append `object` to `out`. `root` is what the path of a refused value starts with; `max_int` is the largest magnitude
 * of an integer this Lua holds exactly. 0, or -1 with ScriptSerializationError, MemoryError or what a mapping's own methods
 * raise. */
int lg_encode(struct lg_fast_state *state, PyObject *object, const char *root, long long max_int, struct lg_buf *out);

/* The object that the bytes at *at hold; *at moves past it. NULL with an exception set. */
PyObject *lg_decode(const unsigned char **at, const unsigned char *end);

/* Text of bytes that are UTF-8, or those bytes. */
PyObject *lg_decode_text(const void *bytes, size_t len);

#endif
