/* A growable byte buffer for data that crosses between Python and Lua, logs and messages.
 *
 * Contract: owned by its embedder, one thread at a time; memory is the C library's, never Lua's, so no call here can
 * raise a Lua error. A failed append (out of memory, or beyond `max`) leaves the content as it was. */
#ifndef LG_BUF_H
#define LG_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct lg_buf {
  unsigned char *data;
  size_t len;
  size_t cap;
};

/* Make room for n more bytes; 0, or -1 when memory is refused. */
int lg_buf_grow(struct lg_buf *b, size_t n);

/* Free the memory. The buffer is empty and usable afterwards. */
void lg_buf_free(struct lg_buf *b);

/* Forget the content; memory above `keep` bytes is given back. */
void lg_buf_reset(struct lg_buf *b, size_t keep);

/* How many of the first `max` bytes of UTF-8 text of n bytes end with a whole character. */
static inline size_t lg_utf8_cut(const char *s, size_t n, size_t max) {
  if (n <= max) return n;
  size_t cut = max;
  while (cut > 0 && max - cut < 4 && ((unsigned char)s[cut] & 0xC0) == 0x80) cut--;
  return cut;
}

static inline int lg_buf_reserve(struct lg_buf *b, size_t n) { return b->cap - b->len >= n ? 0 : lg_buf_grow(b, n); }

static inline int lg_buf_append(struct lg_buf *b, const void *p, size_t n) {
  if (lg_buf_reserve(b, n) != 0) return -1;
  if (n != 0) memcpy(b->data + b->len, p, n);
  b->len += n;
  return 0;
}

#endif
