#include "ending.h"

#include <stddef.h>

#include "state.h"
#include "tell.h"

void lg_state_flag(struct lg_state *st, int reason) {
  int now = atomic_load(&st->ending.flag);
  while (now <= LG_INT_NONE || (now == LG_INT_TICK && reason != LG_INT_TICK)) {
    if (atomic_compare_exchange_weak(&st->ending.flag, &now, reason)) break;
  }
}

void lg_state_crowded(void *ud) {
  enum { LG_COLLECTIONS = 4 };
  struct lg_state *st = ud; /* whose first part the meter is */
  int none = LG_INT_NONE;
  st->ending.crowded = LG_COLLECTIONS;
  (void)atomic_compare_exchange_strong(&st->ending.flag, &none, LG_INT_CROWDED);
  st->ops->arm(st);
}

/* Its functions are not disturbed by signals. The next tick is some time off, so no more is needed than saying so. */
int lg_state_host_word(struct lg_state *st) {
  st->ending.ticks_missed = 0;
  struct lg_stop *before = lg_stop_forbid();
  atomic_store(&st->watch.away, 1);
  int rc = st->rq->host_tick(st->rq->host);
  atomic_store(&st->watch.away, 0);
  lg_stop_allow(before);
  return rc;
}

/* The host's word, by the interrupted thread. At an instruction of Lua's nothing is held that the host could wait for, so it needs
 * no hook: one that grows Lua's stack would change the run's figures, one in 5.4 and 5.5 goes through the whole call list when it
 * is set, and none is called in a single long step. */
static void attend(void *ud) {
  struct lg_state *st = ud;
  lg_watch_open(); /* scripts that the host runs in its word have deadlines too */
  if (lg_state_host_word(st) != 0) {
    lg_state_flag(st, LG_INT_CALLBACK);
    (void)lg_watch_fire(&st->watch, LG_INT_CALLBACK);
  }
  lg_watch_shut();
}

/* As for any host function, there must be room for it. */
static int can_attend(const struct lg_state *st, const void *context) {
  return lg_stop_in_lua(&st->stop, context) && lg_context_sp(context) > (uintptr_t)st->floors.host;
}

/* For a deep call list setting the hook takes milliseconds in 5.4 and 5.5, which are not of the time that a run has to end by
 * itself. */
static void tell(struct lg_state *st) {
  int64_t before = lg_tell_cpu_ns(&st->watch);
  st->ops->arm(st);
  int64_t after = lg_tell_cpu_ns(&st->watch);
  if (before < 0 || after < before) return;
  st->stop.told_ns = st->stop.told_ns == 0 ? after : st->stop.told_ns + (after - before);
}

/* The flag is up: a library function of ours may look at it next, or the next tick finds the thread in Lua's code. Only where
 * neither happens for some ticks, or can, is there a hook. */
static void tick(struct lg_state *st) {
  enum { LG_TICKS = 4 };
  if (st->stop.text == NULL || ++st->ending.ticks_missed >= LG_TICKS) st->ops->arm(st);
}

static struct lg_state *state_of(struct lg_watch *watch) {
  return (struct lg_state *)(void *)((char *)watch - offsetof(struct lg_state, watch));
}

static void raise_flag(struct lg_watch *watch, int reason) { lg_state_flag(state_of(watch), reason); }

/* The run has had time to end by itself: so much of its thread's CPU time since it was first told to. */
static int had_grace(const struct lg_state *st) {
  const int64_t grace_ns = 5000000;
  if (st->stop.told_ns == 0) return 0;
  int64_t now = lg_tell_cpu_ns(&st->watch);
  return now >= 0 && now - st->stop.told_ns >= grace_ns;
}

static void fired(struct lg_watch *watch, int reason, void *context) {
  struct lg_state *st = state_of(watch);
  if (reason == LG_INT_TICK && can_attend(st, context)) {
    lg_context_call(context, attend, st);
    return;
  }
  lg_state_flag(st, reason);
  if (reason == LG_INT_TICK)
    tick(st);
  else if (lg_stop_in_lua(&st->stop, context) && had_grace(st))
    lg_stop_redirect(&st->stop, context);
  else
    tell(st);
}

const struct lg_watch_calls lg_state_calls = {raise_flag, fired};

int lg_state_interrupt(struct lg_state *st, int reason) { return lg_watch_fire(&st->watch, reason); }
