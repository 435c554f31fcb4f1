/* What a state keeps from one run to the next: the image of it, and how large it is without garbage.
 *
 * Contract: between the runs of a state, or on the run's own thread. */
#ifndef LG_KEPT_H
#define LG_KEPT_H

#include <stddef.h>

#include "../meter/image.h"

struct lg_state;

struct lg_kept {
  struct lg_image image;  /* of the state between runs; its data is NULL when there is none */
  int dirty;              /* a run left what is not in the image */
  int stale;              /* the image is to be taken (anew) before the next run */
  size_t bytes;           /* the meter's current in the image; without one, after the last full collection */
  size_t collected_bytes; /* the meter's current after the last full collection */
};

/* Take an image of the state, between runs; where there can be none, it goes on without. */
void lg_state_keep(struct lg_state *st);

/* Put the image back: the state is what it was when that was taken. */
void lg_state_rewind(struct lg_state *st);

/* NULL, or why runs of this state have no hard stop. */
const char *lg_state_no_stop(const struct lg_state *st);

#endif
