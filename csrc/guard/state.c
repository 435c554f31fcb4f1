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

/* The place of a function plus 1, or 0. */
static int place_of(const char *name, int count, const char *const *names) {
  for (int i = 0; i < count; i++) {
    if (strcmp(names[i], name) == 0) return i + 1;
  }
  return 0;
}

struct lg_state *lg_state_new(const struct lg_ops *ops, int function_count, const char *const *function_names,
                              int environ_count, const char *const *environ_pairs) {
  struct lg_state *st = calloc(1, sizeof *st);
  if (st == NULL) return NULL;
  lg_meter_init(&st->meter);
  st->meter.arena.due = &st->ending.flag;
  st->ops = ops;
  st->host.function_count = function_count;
  st->host.environ_count = environ_count;
  st->host.function_names = copy_strings(function_count, function_names);
  st->host.environ_pairs = copy_strings(2 * environ_count, environ_pairs);
  st->host.clock_function = place_of(LG_CLOCK_NAME, function_count, function_names);
  st->host.log_function = place_of(LG_LOG_NAME, function_count, function_names);
  if (st->host.function_names == NULL || st->host.environ_pairs == NULL) {
    lg_state_free(st);
    return NULL;
  }
  return st;
}

void lg_state_free(struct lg_state *st) {
  if (st == NULL) return;
  st->ops->close(st);
  lg_image_drop(&st->kept.image, &st->meter.arena);
  lg_meter_close(&st->meter);
  struct lg_buf *buffers[] = {&st->scratch,          &st->answer.output, &st->answer.logs, &st->answer.message,
                              &st->answer.traceback, &st->answer.path,   &st->host.args,   &st->host.result};
  for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) lg_buf_free(buffers[i]);
  for (int i = 0; i < LG_LINES; i++) lg_buf_free(&st->answer.lines[i].text);
  free_strings(st->host.function_names);
  free_strings(st->host.environ_pairs);
  free(st);
}
