/* When one run is due: its deadline, its CPU time, and the count of its instructions.
 *
 * Contract: for the watchdog's own files, under its mutex but for lg_due_set(); nothing here goes through the list. */
#ifndef LG_WATCH_DUE_H
#define LG_WATCH_DUE_H

#include "watchdog.h"

/* Take the limits of a run that begins now. By the run's thread; needs no mutex. 0, or the error number of a clock. */
int lg_due_set(struct lg_watch *w, int64_t now_ns, const struct lg_watch_limits *limits);

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
