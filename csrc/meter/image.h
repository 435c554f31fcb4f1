/* An image of an arena: a copy of its blocks and books, which put back makes it the arena it was, at the same addresses.
 *
 * Contract
 * - An image is good for the arena it was taken of, until the next one is taken or it is dropped. Both calls by one thread at
 *   a time, while nobody uses the arena's blocks; neither from a signal handler.
 * - lg_image_take() needs an arena with a reservation in which all its segments lie; else, or when memory is refused, it
 *   answers 0 and there is no image.
 * - lg_image_put_back() cannot fail. What the arena had beyond the image goes back to the system, but for what
 *   lg_arena_trim() would keep too. Blocks made since are gone, whoever holds pointers to them.
 * - Huge blocks that are part of an image are neither moved nor unmapped while it lasts. */
#ifndef LG_IMAGE_H
#define LG_IMAGE_H

#include <stddef.h>

#include "arena.h"

struct lg_image {
  unsigned char *data; /* the C library's; NULL while there is no image */
  size_t size;         /* bytes at data */
  size_t room;         /* bytes that data may take */
  size_t parts;        /* how many pieces of memory it holds */
};

int lg_image_take(struct lg_image *image, struct lg_arena *a);

/* `peak` is lg_arena_trim()'s. */
void lg_image_put_back(const struct lg_image *image, struct lg_arena *a, size_t peak);

/* Forget the image; the arena goes on as it is. */
void lg_image_drop(struct lg_image *image, struct lg_arena *a);

/* For image.c: forget what was made since the image, but for what its books cover; and, once they are back, keep of what is
 * free then as much as lg_arena_trim() would. */
void lg_arena_forget(struct lg_arena *a);
void lg_arena_settle(struct lg_arena *a, size_t peak);

#endif
