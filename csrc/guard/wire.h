/* The wire format in which plain data crosses between Python and Lua: one tag byte, then the value.
 *
 *   N nil    T true    F false
 *   i int64 (native byte order)      d double (native byte order)
 *   s uint32 length, bytes           S uint64 length, bytes
 *   [ uint64 count, that many values (None/nil inside is N)
 *   ( the same, for several results at once (a Python tuple)
 *   { uint64 count, that many (key, value) pairs; keys are T F i d s S
 *
 * Written and read in one process, so native byte order and no versioning. Values are not aligned: use memcpy. */
#ifndef LG_WIRE_H
#define LG_WIRE_H

#include "buf.h"

enum lg_wire_tag {
  LG_W_NIL = 'N',
  LG_W_TRUE = 'T',
  LG_W_FALSE = 'F',
  LG_W_INT = 'i',
  LG_W_FLOAT = 'd',
  LG_W_STR = 's',
  LG_W_LONGSTR = 'S',
  LG_W_LIST = '[',
  LG_W_TUPLE = '(',
  LG_W_MAP = '{'
};

/* Nesting beyond this is refused in both directions (also what bounds the C recursion of both walkers). */
#define LG_WIRE_MAX_DEPTH 200

static inline int lg_wire_tag_only(struct lg_buf *b, enum lg_wire_tag tag) {
  unsigned char t = (unsigned char)tag;
  return lg_buf_append(b, &t, 1);
}

/* A tag followed by eight bytes: i, d, [, (, {. */
static inline int lg_wire_word(struct lg_buf *b, enum lg_wire_tag tag, const void *word) {
  if (lg_buf_reserve(b, 9) != 0) return -1;
  b->data[b->len] = (unsigned char)tag;
  memcpy(b->data + b->len + 1, word, 8);
  b->len += 9;
  return 0;
}

static inline int lg_wire_str(struct lg_buf *b, const void *s, size_t n) {
  if (n > SIZE_MAX - 16 || lg_buf_reserve(b, n + 9) != 0) return -1;
  if (n <= UINT32_MAX) {
    uint32_t n32 = (uint32_t)n;
    b->data[b->len] = LG_W_STR;
    memcpy(b->data + b->len + 1, &n32, 4);
    b->len += 5;
  } else {
    uint64_t n64 = n;
    b->data[b->len] = LG_W_LONGSTR;
    memcpy(b->data + b->len + 1, &n64, 8);
    b->len += 9;
  }
  if (n != 0) memcpy(b->data + b->len, s, n);
  b->len += n;
  return 0;
}

#endif
