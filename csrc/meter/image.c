/* What is copied: of a slab what was cut, of the heap its chunks in use and the headers of the free ones, of huge blocks all
 * that is used. It is laid out as a struct lg_arena's books, then the parts: where each lies, its size, its bytes. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

#include "arena_heap.h"
#include "arena_huge.h"
#include "arena_segment.h"
#include "pages.h"

/* Where an image is being written, or only counted. */
struct writer {
  unsigned char *at; /* NULL while counting */
  size_t size;
  size_t parts;
  const unsigned char *begin; /* of the part that may still grow */
  size_t length;
};

struct part {
  void *where;
  size_t size;
};

/* Free blocks are poisoned under AddressSanitizer, and copied all the same. */
#ifdef LG_ASAN
__attribute__((no_sanitize("address"), noinline)) static void copy(void *to, const void *from, size_t size) {
  volatile unsigned char *t = to;
  const volatile unsigned char *f = from;
  for (size_t i = 0; i < size; i++) t[i] = f[i];
}
#else
static void copy(void *to, const void *from, size_t size) { memcpy(to, from, size); }
#endif

static void flush(struct writer *w) {
  if (w->length == 0) return;
  if (w->at != NULL) {
    const struct part part = {(void *)(uintptr_t)w->begin, w->length};
    memcpy(w->at + w->size, &part, sizeof part);
    copy(w->at + w->size + sizeof part, w->begin, w->length);
  }
  w->size += sizeof(struct part) + ((w->length + 15) & ~(size_t)15);
  w->parts++;
  w->length = 0;
}

/* Take `size` bytes into the image; what touches the last ones is one part with them. */
static void take(struct writer *w, const void *from, size_t size) {
  if (size == 0) return;
  if (w->length != 0 && w->begin + w->length == (const unsigned char *)from) {
    w->length += size;
    return;
  }
  flush(w);
  w->begin = from;
  w->length = size;
}

/* The headers of a slab lie among its blocks (arena_slab.h): before or after what has been cut so far. */
static void take_slab(struct writer *w, const struct lg_slab *s, const char *base, size_t headers) {
  size_t hole = (size_t)((const char *)s - base);
  if (s->cut < hole) {
    take(w, base, s->cut);
    take(w, s, headers);
  } else {
    take(w, base, s->cut > hole + headers ? s->cut : hole + headers);
  }
}

static void take_segments(struct writer *w, const struct lg_segment *g) {
  for (; g != NULL; g = g->next) {
    for (uint32_t i = 0; i < g->count; i++) {
      const char *base = g->slabs + i * LG_SLAB_SIZE;
      const struct lg_slab *s = lg_slab_of(base);
      size_t headers = sizeof *s;
      if (i == 0) headers += sizeof *g;
      if ((g->free[i / 64] >> (i % 64) & 1) == 0)
        take_slab(w, s, base, headers);
      else if (i == 0)
        take(w, s, headers);
    }
  }
}

static void take_huge(struct writer *w, struct lg_huge *h) {
  for (; h != NULL; h = h->next) {
    if (w->at != NULL) h->in_image = 1;
    take(w, h, LG_HUGE_HEADER + h->used);
  }
}

static void take_all(struct writer *w, struct lg_arena *a) {
  w->size = LG_ARENA_BOOKS;
  take_segments(w, a->segments);
  take_segments(w, a->full_segments);
  for (const void *g = a->heap.segments; g != NULL;) {
    const void *from;
    size_t size;
    for (const void *at = NULL; (at = lg_heap_next(g, at, &from, &size)) != NULL;) take(w, from, size);
    g = lg_heap_segment_next(g);
  }
  take_huge(w, a->huge);
  flush(w);
}

/* Of the last image nothing counts any more: what it kept of freed blocks goes. */
static void let_go(struct lg_arena *a) {
  struct lg_huge *next;
  for (struct lg_huge *h = a->huge; h != NULL; h = h->next) h->in_image = 0;
  for (struct lg_huge *h = a->parted; h != NULL; h = next) {
    next = h->next;
    a->reserved -= h->size;
    lg_pages_unmap(h, h->size);
  }
  a->parted = NULL;
}

void lg_image_drop(struct lg_image *image, struct lg_arena *a) {
  let_go(a);
  free(image->data);
  *image = (struct lg_image){0};
}

int lg_image_take(struct lg_image *image, struct lg_arena *a) {
  struct writer count = {0};
  let_go(a);
  lg_arena_drop_spare(a);
  if (a->outside != 0) { /* free ones may be kept for the next run */
    lg_heap_trim(a, 0);
    lg_slab_trim(a, 0);
  }
  if (a->range.size == 0 || a->outside != 0) {
    lg_image_drop(image, a);
    return 0;
  }
  take_all(&count, a);
  if (image->room < count.size || image->room / 2 > count.size) {
    unsigned char *data = malloc(count.size);
    if (data == NULL) {
      lg_image_drop(image, a);
      return 0;
    }
    free(image->data);
    image->data = data;
    image->room = count.size;
  }
  struct writer write = {.at = image->data};
  take_all(&write, a);
  memcpy(image->data, a, LG_ARENA_BOOKS);
  image->size = write.size;
  image->parts = write.parts;
  return 1;
}

#ifdef LG_ASAN
static void poison_slabs(struct lg_segment *g) {
  for (; g != NULL; g = g->next) {
    for (uint32_t i = 0; i < g->count; i++) {
      const struct lg_slab *s = lg_slab_of(g->slabs + i * LG_SLAB_SIZE);
      if ((g->free[i / 64] >> (i % 64) & 1) != 0) continue;
      const struct lg_block *next;
      for (struct lg_block *b = s->free; b != NULL && s->cls != 0; b = (struct lg_block *)(uintptr_t)next) {
        next = lg_next(b);
        LG_POISON(b, s->cls * LG_GRANULE);
      }
    }
  }
}

/* Free blocks are poisoned again, as they were when the image was taken. */
static void poison_free(struct lg_arena *a) {
  poison_slabs(a->segments);
  poison_slabs(a->full_segments);
  for (size_t cls = 1; cls < LG_CLASSES; cls++) {
    struct lg_block *next;
    for (struct lg_block *b = a->ready[cls]; b != NULL; b = next) {
      next = lg_next(b);
      LG_POISON(b, cls * LG_GRANULE);
    }
  }
}
#else
static void poison_free(struct lg_arena *a) { (void)a; }
#endif

void lg_image_put_back(const struct lg_image *image, struct lg_arena *a, size_t peak) {
  lg_arena_forget(a);
  memcpy(a, image->data, LG_ARENA_BOOKS);
  const unsigned char *at = image->data + LG_ARENA_BOOKS;
  for (size_t i = 0; i < image->parts; i++) {
    struct part part;
    memcpy(&part, at, sizeof part);
    memcpy(part.where, at + sizeof part, part.size);
    at += sizeof part + ((part.size + 15) & ~(size_t)15);
  }
  poison_free(a);
  lg_arena_settle(a, peak);
}
