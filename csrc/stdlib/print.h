/* print and log: what a script says, as log entries of its run. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. */
#ifndef LG_STDLIB_PRINT_H
#define LG_STDLIB_PRINT_H

#include "../guard/host_call.h"
#include "../guard/poll.h"
#include "../guard/wire.h"
#include "../os/clock.h"
#include "tostring.h"

/* Wall-clock seconds, for log entries: what time.time() gives. */
static double lg_wall_seconds(void) { return (double)lg_wall_ns() * 1e-9; }

/* Hand the entry that begins at `begin` in the logs to the host, where it wants each as it comes; where the entry was dropped, there
 * is none. Call it when all is done that an entry takes: it raises what a host function raises. */
static void lg_log_hand_on(lua_State *L, struct lg_state *st, size_t begin) {
  const struct lg_buf *b = &st->answer.logs;
  if (st->host.log_function == 0 || b->len == begin) return;
  lg_host_ask(L, st, st->host.log_function, 3, b->data + begin, b->len - begin);
}

/* Record one log entry whose message is the strings at first..top joined by tabs. Entries beyond the bounds are dropped
 * whole and counted, so that a log never shows half a line. */
static void lg_log_entry(lua_State *L, struct lg_state *st, const char *level, size_t level_len, int first) {
  int top = lua_gettop(L);
  size_t total = 0;
  for (int i = first; i <= top; i++) total += lua_rawlen(L, i) + (i > first);
  const struct lg_request *rq = st->rq;
  size_t used = st->answer.log_bytes;
  if (st->answer.log_entries >= rq->max_log_entries || total > rq->max_log_bytes || used > rq->max_log_bytes - total ||
      lg_buf_reserve(&st->answer.logs, total + level_len + 64) != 0) {
    st->rp->logs_dropped++;
    return;
  }
  double now = lg_wall_seconds();
  struct lg_buf *b = &st->answer.logs;
  (void)lg_wire_word(b, LG_W_FLOAT, &now); /* cannot fail: room was reserved */
  (void)lg_wire_str(b, level, level_len);
  uint64_t n64 = total;
  (void)lg_wire_word(b, LG_W_LONGSTR, &n64);
  for (int i = first; i <= top; i++) {
    size_t n = 0;
    const char *s = lua_tolstring(L, i, &n);
    if (i > first) (void)lg_buf_append(b, "\t", 1);
    (void)lg_buf_append(b, s, n);
  }
  st->answer.log_entries++;
  st->answer.log_bytes += total;
}

/* Put the text of the argument at idx in its place. Before 5.3 a __tostring may return anything. */
static void lg_make_text(lua_State *L, int idx, const char *to) {
  (void)lg_tostring(L, idx, NULL);
  if (lua_tolstring(L, -1, NULL) == NULL) luaL_error(L, "'tostring' must return a string to '%s'", to);
  lua_replace(L, idx);
}

static int lg_print(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int n = lua_gettop(L);
  for (int i = 1; i <= n; i++) {
    lg_poll(st, L);
    lg_make_text(L, i, "print");
  }
  size_t begin = st->answer.logs.len;
  lg_log_entry(L, st, "print", 5, 1);
  lg_log_hand_on(L, st, begin);
  return 0;
}

/* log(level, ...): level is any short string, the rest are joined as print() does. */
static int lg_log(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  size_t n = 0;
  const char *level = luaL_checklstring(L, 1, &n);
  luaL_checkany(L, 2);
  luaL_argcheck(L, n <= 32, 1, "a level has at most 32 bytes");
  int last = lua_gettop(L);
  for (int i = 2; i <= last; i++) {
    lg_poll(st, L);
    lg_make_text(L, i, "log");
  }
  size_t begin = st->answer.logs.len;
  lg_log_entry(L, st, level, n, 2);
  lg_log_hand_on(L, st, begin);
  return 0;
}

#endif
