/* Python objects <-> wire bytes (guard/wire.h).
 *
 * With the GIL. Encoding runs no Python code: exact storage of the basic types and their subclasses is read, so nothing
 * can change underneath. Decoding makes new objects only. */
#ifndef LG_CONVERT_H
#define LG_CONVERT_H

#include "../guard/buf.h"
#include "fast.h"

/* Append `object` to `out`. `root` is what the path of a refused value starts with; `max_int` is the largest magnitude
 * of an integer this Lua holds exactly. 0, or -1 with ScriptSerializationError (or MemoryError) set. */
int lg_encode(struct lg_fast_state *state, PyObject *object, const char *root, long long max_int, struct lg_buf *out);

/* The object that the bytes at *at hold; *at moves past it. NULL with an exception set. */
PyObject *lg_decode(const unsigned char **at, const unsigned char *end);

/* Text of bytes that are UTF-8, or those bytes. */
PyObject *lg_decode_text(const void *bytes, size_t len);

#endif
