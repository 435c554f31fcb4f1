#include "state.h"

#include <stdlib.h>
#include <string.h>

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
  lg_meter_close(&st->meter);
  struct lg_buf *buffers[] = {&st->scratch,   &st->output, &st->logs, &st->message,
                              &st->traceback, &st->path,   &st->args, &st->result};
  for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) lg_buf_free(buffers[i]);
  free_strings(st->function_names);
  free_strings(st->environ_pairs);
  free(st);
}

/* Raise the run's flag, unless it is up for a reason that counts as much. */
static struct lg_state *raise_flag(struct lg_watch *watch, int reason) {
  struct lg_state *st = (struct lg_state *)(void *)((char *)watch - offsetof(struct lg_state, watch));
  int now = atomic_load(&st->interrupt);
  while (now == LG_INT_NONE || (now == LG_INT_TICK && reason != LG_INT_TICK)) {
    if (atomic_compare_exchange_weak(&st->interrupt, &now, reason)) break;
  }
  if (reason != LG_INT_TICK) lg_call_forget(st);
  return st;
}

void lg_state_fired(struct lg_watch *watch, int reason) {
  struct lg_state *st = raise_flag(watch, reason);
  st->ops->arm(st);
}

void lg_state_flagged(struct lg_watch *watch, int reason) { (void)raise_flag(watch, reason); }

int lg_state_interrupt(struct lg_state *st, int reason) { return lg_watch_fire(&st->watch, reason); }
