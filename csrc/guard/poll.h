/* What the sandbox's C functions use of the run they are part of. Compiled once per Lua version.
 *
 * Contract: only from C functions that a script called, on the run's thread. All of these may raise a Lua error. */
#ifndef LG_POLL_H
#define LG_POLL_H

#include <limits.h>
#include <string.h>

#include "../lua/lua_api.h"
#include "../os/compiler.h"
#include "place.h"
#include "state.h"

/* The state a lua_State belongs to: our allocator's ud is the state, so this needs no registry look-up. */
static inline struct lg_state *lg_state_of(lua_State *L) {
  void *ud = NULL;
  (void)lua_getallocf(L, &ud);
  return ud;
}

static const char lg_interrupted_mark = 0; /* its address is the error value of an interrupted run */

/* End the run: raises the mark that no handler of the script's ever sees. A pcall of the script's catches it all the same,
 * so what ends the run from the inside (the budget, a host function) arms the hook that raises again behind it. */
static int lg_raise_interrupt(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  if (st->rp != NULL && st->rp->line == 0) lg_keep_place(L, st);
  if (st->ops != NULL) st->ops->arm(st); /* a library driven alone has no run to arm */
  lua_pushlightuserdata(L, (void *)(uintptr_t)&lg_interrupted_mark);
  return lua_error(L);
}

/* The run makes headway. */
static inline void lg_moved(struct lg_state *st) {
  atomic_store_explicit(&st->budget.moves, st->budget.moves + 1, memory_order_relaxed);
}

static void lg_collect_all(struct lg_state *st, lua_State *L);

/* Something wants this run's attention: let the host have its word, end the run if it is to end, and collect if the heap nears
 * its limit. */
static void lg_attend(struct lg_state *st, lua_State *L) {
  int tick = LG_INT_TICK, crowded = LG_INT_CROWDED;
  if (atomic_compare_exchange_strong(&st->ending.flag, &tick, LG_INT_NONE) && st->rq != NULL) {
    /* Where a limit of time ends what takes long without an instruction, a library function at work is no standstill. */
    if (st->rq->timeout_ns > 0 || st->rq->cpu_ns > 0) lg_moved(st);
    if (lg_state_host_word(st) != 0) lg_state_flag(st, LG_INT_CALLBACK);
  }
  (void)atomic_compare_exchange_strong(&st->ending.flag, &crowded, LG_INT_NONE);
  if (lg_is_interrupted(st)) lg_raise_interrupt(L);
  if (st->ending.crowded) lg_collect_all(st, L);
}

/* Raise Lua's memory error for n bytes that were refused: by asking for what the limit refuses. A block that no limit would
 * allow does not do: each version has other words for those that are too large for it. Without a limit, or where one allows
 * such a block, the error has Lua's text only. Where the system refused, the meter has been told. */
static int lg_memory_error(lua_State *L, size_t n) {
  struct lg_meter *m = &lg_state_of(L)->meter;
  size_t left = m->limit > m->current ? m->limit - m->current : 0;
  if (m->limit != LG_NO_LIMIT) {
    const size_t most = LG_BLOCK_MOST;
    if (n <= left) n = left + 1;
    if (left < most) {
      (void)lua_newuserdata(L, n < most ? n : most);
    } else if (!m->system_refused) {
      m->refused++;
      m->wanted = n > SIZE_MAX - m->current ? SIZE_MAX : m->current + n;
    }
  }
  (void)lua_pushliteral(L, "not enough memory");
  return lua_error(L);
}

#if LG_ERROR_DROPS_TEXT
/* luaL_error() as elsewhere: memory that is refused for its text is a memory error. The stock function then raises what lies
 * below on the stack. */
static int lg_error(lua_State *L, const char *format, ...) {
  va_list args;
  luaL_where(L, 1);
  va_start(args, format);
  const char *text = lua_pushvfstring(L, format, args);
  va_end(args);
  if (text == NULL) return lg_memory_error(L, 1);
  lua_concat(L, 2);
  return lua_error(L);
}
#define luaL_error lg_error
#endif

/* What Lua raises when an allocation is refused. Its own throws call no message handler, a function that raises again
 * what it caught does. */
static int lg_is_memory_error(lua_State *L, int idx) {
  static const char text[] = "not enough memory";
  size_t n = 0;
  const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &n) : NULL;
  return s != NULL && n == sizeof text - 1 && memcmp(s, text, n) == 0;
}

/* Call this in every loop whose length a script chooses, at least every few microseconds. */
static inline void lg_poll(struct lg_state *st, lua_State *L) {
  if (atomic_load_explicit(&st->ending.flag, memory_order_relaxed) != LG_INT_NONE) lg_attend(st, L);
}

/* The first of n bytes that is c, or NULL. They may be many megabytes. */
static inline const char *lg_find_byte(lua_State *L, const char *s, size_t n, char c) {
  const size_t stretch = (size_t)1 << 18; /* some ten microseconds */
  for (; n > stretch; s += stretch, n -= stretch) {
    const char *at = memchr(s, c, stretch);
    if (at != NULL) return at;
    lg_poll(lg_state_of(L), L);
  }
  return n == 0 ? NULL : memchr(s, c, n);
}

/* A budgeted run counts its instructions in steps of this many, per coroutine; a resume costs one step, so that
 * spreading work over many coroutines does not escape the count. */
enum { LG_BUDGET_STEP = 100 };

/* Take a step off the budget; ends the run when it is used up. */
static void lg_spend(struct lg_state *st, lua_State *L) {
  st->budget.left -= LG_BUDGET_STEP;
  lg_moved(st);
  if (st->budget.left > 0 || lg_is_interrupted(st)) return;
  atomic_store(&st->ending.flag, LG_INT_BUDGET);
  lg_raise_interrupt(L);
}

enum { LG_AT_ONCE = 8 << 20 }; /* bytes of a heap that is collected in one step: one or two milliseconds */

/* Whether the script has chosen the mode in which the collector's steps are whole collections. */
static inline int lg_is_generational(const struct lg_state *st) {
  return (st->changed & LG_CHANGED_COLLECTOR) != 0 && st->collector.generational;
}

/* A full collection, a step at a time. The first cycle may be one that Lua had begun, and what died after its marking had passed by
 * outlives it; the second begins and ends here. */
static void lg_collect_in_steps(struct lg_state *st, lua_State *L) {
  for (int cycles = 0; cycles < 2;) {
    lg_poll(st, L);
    lg_moved(st); /* as much as the heap is large, no more */
    if (lg_gc_step(L, 0) != 0) cycles++;
  }
}

/* A full collection. lua_gc() does one in a single step, which a large heap makes long: there it goes in short steps, with a
 * look at the deadline between them. A collection of generations has no short steps: the hard stop ends one that takes long. A
 * collector that the script has stopped is stopped afterwards too. */
static void lg_collect_all(struct lg_state *st, lua_State *L) {
  st->ending.crowded = 0;
  if (st->meter.current <= LG_AT_ONCE || lg_is_generational(st))
    (void)lg_gc(L, LUA_GCCOLLECT);
  else
    lg_collect_in_steps(st, L);
#if LG_COLLECTING_RESTARTS
  if ((st->changed & LG_CHANGED_COLLECTOR) != 0 && st->collector.stopped) (void)lg_gc(L, LUA_GCSTOP);
#endif
  if (!LG_RETRIES_REFUSED) lg_meter_aim(&st->meter);
}

/* Call before asking Lua for one block of n bytes: when the limit would refuse it, collect first, so that a script that
 * fits once its garbage is gone is not refused, however large the block is. */
static inline void lg_room(struct lg_state *st, lua_State *L, size_t n) {
  const struct lg_meter *m = &st->meter;
  if (m->limit != LG_NO_LIMIT && (n > m->limit || m->current > m->limit - n)) lg_collect_all(st, L);
}

/* Room for n more values on the Lua stack. 0 when n is more than Lua allows. When memory is what lacks, this raises a
 * memory error: lua_checkstack() answers both with 0, and the caller's message would hide the limit. */
static int lg_stack(lua_State *L, int n) {
  const struct lg_meter *m = &lg_state_of(L)->meter;
  uint64_t refused = m->refused;
  if (lua_checkstack(L, n)) return 1;
  if (m->refused == refused && !m->system_refused) return 0;
  lg_collect_all(lg_state_of(L), L);
  return lua_checkstack(L, n) || lg_memory_error(L, (size_t)n * 16);
}

/* The same, where n is few: what Lua does not allow raises its own complaint. */
static void lg_stack_for(lua_State *L, int n, const char *what) {
  if (!lg_stack(L, n)) luaL_error(L, "stack overflow (%s)", what);
}

#endif
