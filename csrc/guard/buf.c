#include "buf.h"

#include <stdlib.h>

int lg_buf_grow(struct lg_buf *b, size_t n) {
  if (n > SIZE_MAX / 2 - b->len) return -1;
  size_t cap = b->cap < 256 ? 256 : b->cap;
  while (cap < b->len + n) cap *= 2;
  unsigned char *data = realloc(b->data, cap);
  if (data == NULL) return -1;
  b->data = data;
  b->cap = cap;
  return 0;
}

void lg_buf_free(struct lg_buf *b) {
  free(b->data);
  b->data = NULL;
  b->len = 0;
  b->cap = 0;
}

void lg_buf_reset(struct lg_buf *b, size_t keep) {
  if (b->cap > keep) {
    lg_buf_free(b);
    return;
  }
  b->len = 0;
}
