#include "watch_due.h"

#include <errno.h>

#include "cputime.h"

int lg_due_set_clock(struct lg_watch *w, int64_t now_ns, const struct lg_watch_limits *limits) {
  w->cpu_clock = lg_cpu_clock_here();
  int64_t used = w->cpu_clock == 0 ? -1 : lg_cpu_clock_ns(w->cpu_clock);
  if (used < 0) return errno;
  if (limits->cpu_ns <= 0) return 0;
  w->cpu_limit_ns = limits->cpu_ns < INT64_MAX - used ? used + limits->cpu_ns : INT64_MAX;
  if (limits->cpu_ns < INT64_MAX - now_ns) w->cpu_check_ns = now_ns + limits->cpu_ns;
  return 0;
}

/* Whether a count of instructions has stood still for too long. */
static int stands_still(struct lg_watch *w, int64_t now) {
  if (w->moves == NULL || (now >= 0 && w->moves_look_ns > now)) return 0;
  w->moves_look_ns = now + LG_MOVES_EVERY_NS;
  int64_t used = lg_cpu_clock_ns(w->cpu_clock);
  if (used < 0) return 1;
  unsigned moves = atomic_load(w->moves);
  if (moves == w->moves_seen && w->moved_ns >= 0 && !atomic_load(&w->away)) {
    w->calls->flag(w, LG_WATCH_TICK);
    return used - w->moved_ns >= LG_WATCH_STILL_NS;
  }
  w->moves_seen = moves;
  w->moved_ns = used;
  return 0;
}

int lg_due_reason(struct lg_watch *w, int64_t now) {
  if (now < 0 && w->deadline_ns != INT64_MAX) return LG_WATCH_DEADLINE;
  if (w->deadline_ns <= now && w->paused_ns == 0) return LG_WATCH_DEADLINE;
  if (stands_still(w, now)) return LG_WATCH_STILL;
  if (w->cpu_check_ns == INT64_MAX || (now >= 0 && w->cpu_check_ns > now)) return 0;
  int64_t used = lg_cpu_clock_ns(w->cpu_clock);
  if (used < 0 || used >= w->cpu_limit_ns) return LG_WATCH_CPU;
  w->cpu_check_ns = now + (w->cpu_limit_ns - used);
  return 0;
}

int lg_due_unwatched(const struct lg_watch *w) {
  if (w->deadline_ns != INT64_MAX) return LG_WATCH_DEADLINE;
  if (w->cpu_check_ns != INT64_MAX) return LG_WATCH_CPU;
  return w->moves != NULL ? LG_WATCH_STILL : 0;
}

void lg_due_note_cpu(struct lg_watch *w) {
  if (w->cpu_check_ns == INT64_MAX) return;
  int64_t used = lg_cpu_clock_ns(w->cpu_clock);
  w->cpu_left_ns = used < 0 ? 0 : w->cpu_limit_ns - used;
}

/* Without a clock the limit is passed. */
void lg_due_renew_cpu(struct lg_watch *w) {
  w->moved_ns = -1;
  if (w->cpu_clock == 0) return;
  w->cpu_clock = lg_cpu_clock_here();
  if (w->cpu_check_ns == INT64_MAX) return;
  int64_t used = w->cpu_clock == 0 ? -1 : lg_cpu_clock_ns(w->cpu_clock);
  w->cpu_limit_ns = used < 0 ? 0 : w->cpu_left_ns < INT64_MAX - used ? used + w->cpu_left_ns : INT64_MAX;
  w->cpu_check_ns = 0; /* the first look finds out when the next one is due */
}
