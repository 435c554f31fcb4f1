/* Log entries of a run, and the lines that io's streams make entries of. Once per Lua version.
 *
 * Contract: on the run's thread. All text goes to the state's buffers, which are the C library's memory. Entries beyond the
 * bounds of the run's logs are dropped whole and counted, so that a log never shows half a line; so are entries for which
 * memory is refused. Nothing here raises a Lua error but lg_log_written(), which looks at the deadline. */
#ifndef LG_STDLIB_LOGS_H
#define LG_STDLIB_LOGS_H

#include "../guard/host_call.h"
#include "../guard/poll.h"
#include "../guard/wire.h"
#include "../os/clock.h"

/* Wall-clock seconds, for log entries: what time.time() gives. */
static double lg_wall_seconds(void) { return (double)lg_wall_ns() * 1e-9; }

/* Hand the entry that begins at `begin` in the logs to the host, where it wants each as it comes; where the entry was dropped, there
 * is none. Call it when all is done that an entry takes: it raises what a host function raises. */
static void lg_log_hand_on(lua_State *L, struct lg_state *st, size_t begin) {
  const struct lg_buf *b = &st->answer.logs;
  if (st->host.log_function == 0 || b->len == begin) return;
  lg_host_ask(L, st, st->host.log_function, 3, b->data + begin, b->len - begin);
}

/* Whether the logs have room for an entry of so many bytes. */
static int lg_log_fits(const struct lg_state *st, size_t total) {
  const struct lg_request *rq = st->rq;
  size_t used = st->answer.log_bytes;
  return st->answer.log_entries < rq->max_log_entries && total <= rq->max_log_bytes &&
         used <= rq->max_log_bytes - total;
}

/* Begin an entry whose message has `total` bytes: a buffer with room for them, to which the caller appends them. 0 where the
 * entry is dropped. None of it is in the logs until lg_log_end(): a run that is given up in between leaves no part of it. */
static int lg_log_begin(struct lg_state *st, const char *level, size_t level_len, size_t total, struct lg_buf *entry) {
  struct lg_buf *logs = &st->answer.logs;
  if (!lg_log_fits(st, total) || lg_buf_reserve(logs, total + level_len + 64) != 0) {
    st->rp->logs_dropped++;
    return 0;
  }
  *entry = *logs;
  double now = lg_wall_seconds();
  (void)lg_wire_word(entry, LG_W_FLOAT, &now); /* cannot fail: room was reserved */
  (void)lg_wire_str(entry, level, level_len);
  uint64_t n64 = total;
  (void)lg_wire_word(entry, LG_W_LONGSTR, &n64);
  return 1;
}

/* The entry is whole. */
static void lg_log_end(struct lg_state *st, size_t total, const struct lg_buf *entry) {
  st->answer.logs.len = entry->len;
  st->answer.log_entries++;
  st->answer.log_bytes += total;
}

/* End the line with n more bytes: it becomes an entry. */
static void lg_line_end(struct lg_state *st, int which, const char *s, size_t n) {
  static const char *const levels[LG_LINES] = {"print", "stderr"};
  struct lg_line *line = &st->answer.lines[which];
  size_t total = line->text.len + n;
  struct lg_buf entry;
  if (!line->dropped && lg_log_begin(st, levels[which], strlen(levels[which]), total, &entry)) {
    (void)lg_buf_append(&entry, line->text.data, line->text.len);
    (void)lg_buf_append(&entry, s, n);
    lg_log_end(st, total, &entry);
  }
  line->dropped = 0;
  line->text.len = 0;
}

/* Add n bytes to a line that goes on. */
static void lg_line_add(struct lg_state *st, int which, const char *s, size_t n) {
  struct lg_line *line = &st->answer.lines[which];
  if (line->dropped) return;
  size_t len = line->text.len;
  if (n <= SIZE_MAX - len && lg_log_fits(st, len + n) && lg_buf_append(&line->text, s, n) == 0) return;
  st->rp->logs_dropped++;
  line->dropped = 1;
  line->text.len = 0;
}

/* Write n bytes to a stream: each line is an entry once it has ended. */
static void lg_log_written(lua_State *L, struct lg_state *st, int which, const char *s, size_t n) {
  const char *end = s + n;
  for (;;) {
    lg_poll(st, L);
    const char *newline = lg_find_byte(L, s, (size_t)(end - s), '\n');
    if (newline == NULL) break;
    size_t begin = st->answer.logs.len;
    lg_line_end(st, which, s, (size_t)(newline - s));
    lg_log_hand_on(L, st, begin);
    s = newline + 1;
  }
  if (s != end) lg_line_add(st, which, s, (size_t)(end - s));
}

/* The run is over: what was written of a line is all there is of it. */
static void lg_lines_finish(struct lg_state *st) {
  for (int i = 0; i < LG_LINES; i++) {
    if (st->answer.lines[i].text.len != 0 || st->answer.lines[i].dropped) lg_line_end(st, i, "", 0);
    lg_buf_reset(&st->answer.lines[i].text, 0);
  }
}

#endif
