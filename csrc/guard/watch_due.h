/* When one run is due: its deadline, its CPU time, and the count of its instructions.
 *
 * Contract: for the watchdog's own files, under its mutex but for lg_due_set(); nothing here goes through the list. */
#ifndef LG_WATCH_DUE_H
#define LG_WATCH_DUE_H

#include <errno.h>
#include <stddef.h>

#include "watchdog.h"

#define LG_MOVES_EVERY_NS INT64_C(20000000) /* so often it is looked whether a count moves */

/* The part of lg_due_set() for a run whose CPU time or instructions are counted. */
int lg_due_set_clock(struct lg_watch *w, int64_t now_ns, const struct lg_watch_limits *limits);

/* Take the limits of a run that begins now. By the run's thread; needs no mutex. 0, or the error number of a clock. */
static inline int lg_due_set(struct lg_watch *w, int64_t now_ns, const struct lg_watch_limits *limits) {
  const int64_t last_interval_ns = 100000000;
  const int64_t insisting_ns = 4000000; /* the longest between two times of telling a run that can be sent elsewhere */
  if (now_ns < 0) return errno;         /* lg_now_ns() failed */
  w->deadline_ns = limits->deadline_ns;
  w->tick_every_ns = limits->tick_every_ns;
  w->tick_ns = limits->tick_every_ns > 0 ? now_ns + limits->tick_every_ns : INT64_MAX;
  w->interval_most_ns = limits->insist ? insisting_ns : last_interval_ns;
  w->moves = limits->moves;
  w->moved_ns = -1;
  w->moves_look_ns = now_ns + LG_MOVES_EVERY_NS;
  w->cpu_check_ns = INT64_MAX;
  w->cpu_clock = 0;
  w->paused_ns = 0;
  return limits->cpu_ns <= 0 && limits->moves == NULL ? 0 : lg_due_set_clock(w, now_ns, limits);
}

/* Why a run's time is over, or 0. A clock that cannot be read enforces nothing: then it is over, too. */
int lg_due_reason(struct lg_watch *w, int64_t now);

/* Why a run is due at once where nobody can watch it; 0 where it has no limits. */
int lg_due_unwatched(const struct lg_watch *w);

/* The clock of a thread that forks is not to be read in the child: note before what its run has left, and go on from that in the
 * child, by the thread's new clock. */
void lg_due_note_cpu(struct lg_watch *w);
void lg_due_renew_cpu(struct lg_watch *w);

/* When a run that is not due wants to be looked at. */
static inline int64_t lg_due_next(const struct lg_watch *w) {
  int64_t at = w->paused_ns == 0 ? w->deadline_ns : INT64_MAX;
  if (w->cpu_check_ns < at) at = w->cpu_check_ns;
  if (w->moves != NULL && w->moves_look_ns < at) at = w->moves_look_ns;
  return w->tick_ns < at ? w->tick_ns : at;
}

#endif
