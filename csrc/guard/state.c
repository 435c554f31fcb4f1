#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "tell.h"

/* A copy of an array of strings; NULL entries are not allowed. Returns NULL when memory is refused. */
static char **copy_strings(int count, const char *const *strings) {
  char **copy = calloc((size_t)count + 1, sizeof *copy);
  if (copy == NULL) return NULL;
  for (int i = 0; i < count; i++) {
    size_t n = strlen(strings[i]) + 1;
    copy[i] = malloc(n);
    if (copy[i] == NULL) {
      for (int k = 0; k < i; k++) free(copy[k]);
      free(copy);
      return NULL;
    }
    memcpy(copy[i], strings[i], n);
  }
  return copy;
}

static void free_strings(char **strings) {
  if (strings == NULL) return;
  for (char **s = strings; *s != NULL; s++) free(*s);
  free(strings);
}

struct lg_state *lg_state_new(const struct lg_ops *ops, int function_count, const char *const *function_names,
                              int environ_count, const char *const *environ_pairs) {
  struct lg_state *st = calloc(1, sizeof *st);
  if (st == NULL) return NULL;
  lg_meter_init(&st->meter);
  st->meter.arena.due = &st->interrupt;
  st->range_bytes = LG_RANGE_MOST;
  st->ops = ops;
  st->function_count = function_count;
  st->environ_count = environ_count;
  st->function_names = copy_strings(function_count, function_names);
  st->environ_pairs = copy_strings(2 * environ_count, environ_pairs);
  if (st->function_names == NULL || st->environ_pairs == NULL) {
    lg_state_free(st);
    return NULL;
  }
  return st;
}

void lg_state_free(struct lg_state *st) {
  if (st == NULL) return;
  st->ops->close(st);
  lg_image_drop(&st->image, &st->meter.arena);
  lg_meter_close(&st->meter);
  struct lg_buf *buffers[] = {&st->scratch,   &st->output, &st->logs, &st->message,
                              &st->traceback, &st->path,   &st->args, &st->result};
  for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) lg_buf_free(buffers[i]);
  free_strings(st->function_names);
  free_strings(st->environ_pairs);
  free(st);
}

void lg_state_flag(struct lg_state *st, int reason) {
  int now = atomic_load(&st->interrupt);
  while (now == LG_INT_NONE || (now == LG_INT_TICK && reason != LG_INT_TICK)) {
    if (atomic_compare_exchange_weak(&st->interrupt, &now, reason)) break;
  }
}

/* Its functions are not disturbed by signals. The next tick is some time off, so no more is needed than saying so. */
int lg_state_host_word(struct lg_state *st) {
  st->ticks_missed = 0;
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
  return lg_stop_in_lua(&st->stop, context) && lg_context_sp(context) > (uintptr_t)st->host_floor;
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
  if (st->stop.text == NULL || ++st->ticks_missed >= LG_TICKS) st->ops->arm(st);
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

void lg_state_keep(struct lg_state *st) {
  st->dirty = 0;
  st->stale = 0;
  st->base_bytes = st->meter.current;
  if (st->meter.chained == NULL) (void)lg_image_take(&st->image, &st->meter.arena);
}

void lg_state_rewind(struct lg_state *st) {
  lg_image_put_back(&st->image, &st->meter.arena, st->meter.peak);
  st->meter.current = st->base_bytes;
  st->boxes = NULL;
  st->dirty = 0;
}

const char *lg_state_no_stop(const struct lg_state *st) {
  if (st->no_hard_stop) return "it was turned off (hard_stop=False)";
  if (st->ops->no_stop != NULL) return st->ops->no_stop;
  if (st->meter.chained != NULL) return "this Lua brings an allocator of its own";
  if (st->meter.arena.range.size == 0) return "the system refused a reservation of addresses";
  return st->image.data == NULL && !st->stale ? "there was no room for an image of the state" : NULL;
}
