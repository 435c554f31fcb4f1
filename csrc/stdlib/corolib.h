/* Coroutine functions that keep track of which coroutine runs, so that an interrupt finds it. Once per Lua version.
 *
 * In PUC Lua a hook belongs to one coroutine: an interrupt is armed on st->running, which resume, wrap and close keep up
 * to date, and once a run is being ended they raise in the resumer too instead of returning. They also bound the C stack:
 * 5.1 and LuaJIT let coroutines nest until it overflows. Messages are those of each version's lcorolib.c. */
#ifndef LG_STDLIB_COROLIB_H
#define LG_STDLIB_COROLIB_H

#include "../guard/cstack.h"
#include "args.h"
#include "../guard/poll.h"

static void lg_budget_arm(lua_State *L, struct lg_state *st);

static lua_State *lg_checkco(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
#if LG_HAS_TYPEERROR
  if (co == NULL) luaL_typeerror(L, 1, "thread");
#else
  luaL_argcheck(L, co != NULL, 1, LG_TEXT_NO_COROUTINE);
#endif
  return co;
}

/* Why `co` cannot be resumed, or NULL. 5.2 and later let lua_resume say it, except for a dead one.
 *
 * lua_resume() makes that text before it is protected. Memory refused there would be thrown on `co`, past every frame
 * between it and the handler it last had, or to one that is gone; so the texts are made once and kept (lg_keep_words). */
static const char *lg_not_resumable(lua_State *L, lua_State *co) {
#if !LG_RESUME_REFUSES
  lua_Debug ar;
  if (co == L) return "cannot resume running coroutine";
  if (lua_status(co) == LUA_YIELD) return NULL;
  if (lua_status(co) != LUA_OK) return "cannot resume dead coroutine";
  if (lua_getstack(co, 0, &ar) > 0) return LG_TEXT_RESUMES_NORMAL;
  return lua_gettop(co) == 0 ? "cannot resume dead coroutine" : NULL;
#else
  (void)L;
  lua_Debug ar;
  if (lua_status(co) != LUA_OK || lua_gettop(co) != 0) return NULL;
  return LG_RESUME_KNOWS_DEAD && lua_getstack(co, 0, &ar) ? NULL : "cannot resume dead coroutine";
#endif
}

/* Every text that Lua's own functions make on a coroutine outside of a protected call. */
static void lg_keep_words(lua_State *L) {
  static const char *const words[] = {"C stack overflow", "cannot resume non-suspended coroutine",
                                      "cannot resume dead coroutine", "error in error handling"};
  enum { WORDS = sizeof words / sizeof words[0] };
  lua_createtable(L, WORDS, 0);
  for (int i = 0; i < WORDS; i++) {
    (void)lua_pushstring(L, words[i]);
    lua_rawseti(L, -2, i + 1);
  }
  (void)luaL_ref(L, LUA_REGISTRYINDEX);
}

#if LG_CHECKSTACK_RAISES
static int lg_grow_here(lua_State *co) {
  luaL_checkstack(co, (int)(intptr_t)lua_touserdata(co, 1), "");
  return 0;
}
#endif

/* Room for n values on the stack of `co`, which waits. 0 when that is more than Lua allows; when memory is what lacks, a
 * memory error is raised on L.
 *
 * lua_checkstack() raises refused memory there and then in 5.1 and LuaJIT 2.0, and so where nothing would catch it. LuaJIT 2.1
 * catches it and leaves a coroutine that had yielded as if it had never been started. So 5.1 grows the stack in a protected
 * call, unless it is sure to have the room (a coroutine that waits has LUA_MINSTACK slots), and LuaJIT while the limit is
 * lifted: what it takes beyond it, a stack's worth at most, is refused afterwards. */
#if LG_CHECKSTACK_SPOILS
static int lg_stack_of(lua_State *L, lua_State *co, int n) {
  struct lg_state *st = lg_state_of(L);
  struct lg_meter *m = &st->meter;
  size_t limit = m->limit, bound = m->bound;
  lg_meter_limit(m, LG_NO_LIMIT);
  int enough = lua_checkstack(co, n);
  m->limit = limit;
  m->bound = bound;
  if (enough && m->current <= limit) return 1;
  if (enough) {
    lg_collect_all(st, L);
    return m->current <= limit || lg_memory_error(L, (size_t)n * 16);
  }
  /* Not again: after a refusal by the system it does not wait any more, but runs, for ever (lg_not_resumable). */
  return m->system_refused ? lg_memory_error(L, (size_t)n * 16) : 0;
}
#else
static int lg_check_stack_of(lua_State *co, int n) {
#if LG_CHECKSTACK_RAISES
  enum { LG_CERTAIN = 16 };
  if (n > LG_CERTAIN && lua_cpcall(co, lg_grow_here, (void *)(intptr_t)n) != LUA_OK) {
    lua_pop(co, 1);
    return 0;
  }
#endif
  return lua_checkstack(co, n);
}

static int lg_stack_of(lua_State *L, lua_State *co, int n) {
  struct lg_state *st = lg_state_of(L);
  uint64_t refused = st->meter.refused;
  if (lg_check_stack_of(co, n)) return 1;
  if (st->meter.refused == refused && !st->meter.system_refused) return 0;
  lg_collect_all(st, L);
  return lg_check_stack_of(co, n) || lg_memory_error(L, (size_t)n * 16);
}
#endif

/* `co` has ended by an error. What was armed on it is not on L. Its garbage is collected at the next instruction of L: here the
 * caller may hold it still. */
static void lg_poll_after_error(struct lg_state *st, lua_State *L) {
  int crowded = st->ending.crowded;
  st->ending.crowded = 0;
  lg_poll(st, L);
  if (crowded) lg_state_crowded(st);
}

/* Resume `co` with narg values from L's top. Returns how many results it pushed on L, or -1 with an error value pushed;
 * *status is lua_resume's (or LUA_ERRRUN when it was not tried). */
static int lg_auxresume(lua_State *L, lua_State *co, int narg, int *status) {
  struct lg_state *st = lg_state_of(L);
  const char *why = lg_not_resumable(L, co);
  if (why == NULL && !lg_stack_of(L, co, narg)) why = "too many arguments to resume";
  *status = LUA_ERRRUN;
  if (why != NULL) {
    lua_pushstring(L, why);
    return -1;
  }
  lg_c_stack(L);
  if (st->rq->max_instructions > 0) {
    lg_spend(st, L);
    lg_budget_arm(co, st);
  }
  lua_xmove(L, co, narg);
  lua_State *before = st->running;
  int nres = 0;
  st->running = co;
  /* What came before the line above was armed on `before`: see the flag. What comes later is armed on `co`. */
  while (atomic_load_explicit(&st->ending.flag, memory_order_relaxed) != LG_INT_NONE) {
    st->running = before;
    lg_poll(st, L);
    st->running = co;
  }
  *status = lg_resume(co, L, narg, &nres);
  st->running = before;
  if (*status == LUA_OK || *status == LUA_YIELD) {
    lg_poll(st, L); /* what was armed on `co` is not on L */
    if (!lg_stack(L, nres + 1)) {
      lua_pop(co, nres);
      *status = LUA_ERRRUN;
      lua_pushliteral(L, "too many results to resume");
      return -1;
    }
    lua_xmove(co, L, nres);
    return nres;
  }
  lg_poll_after_error(st, L);
  lua_xmove(co, L, 1);
  return -1;
}

static int lg_co_resume(lua_State *L) {
  lua_State *co = lg_checkco(L);
  int status = 0;
  int n = lg_auxresume(L, co, lua_gettop(L) - 1, &status);
  lua_pushboolean(L, n >= 0);
  lua_insert(L, n >= 0 ? -(n + 1) : -2);
  return n >= 0 ? n + 1 : 2;
}

#if LG_HAS_CLOSE
/* lua_closethread runs to-be-closed variables on `co`: they must be interruptible too. */
static int lg_close_tracked(lua_State *L, lua_State *co) {
  struct lg_state *st = lg_state_of(L);
  lua_State *before = st->running;
  st->running = co;
  if (lg_is_interrupted(st)) {
    st->running = before;
    lg_raise_interrupt(L);
  }
  int status = lua_closethread(co, L);
  st->running = before;
  if (lg_is_interrupted(st)) lg_raise_interrupt(L);
  return status;
}
#endif

/* Put the position in front of the message on top. It stays the error that a host function raised. */
static void lg_add_position(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int kept = 0;
  if (st->error.kind != LG_ERROR_NONE) {
    (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->error.ref);
    kept = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
  }
  luaL_where(L, 1);
  lua_insert(L, -2);
  lua_concat(L, 2);
  if (kept) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, st->error.ref);
  }
}

static int lg_auxwrap(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int status = 0;
  uint64_t refused = lg_state_of(L)->meter.refused;
  int n = lg_auxresume(L, co, lua_gettop(L), &status);
  if (n >= 0) return n;
#if LG_HAS_CLOSE
  int dead = lua_status(co);
  if (dead != LUA_OK && dead != LUA_YIELD) { /* an error inside the coroutine: close its variables */
    status = lg_close_tracked(L, co);
    lua_xmove(co, L, 1);
  }
#endif
  /* A memory error that comes through several coroutines is raised again in each, and has no place. */
  if (status == LUA_ERRMEM || (lg_state_of(L)->meter.refused != refused && lg_is_memory_error(L, -1)))
    return lua_error(L);
  if (LG_WRAP_PLACES_NUMBERS ? lua_isstring(L, -1) : lua_type(L, -1) == LUA_TSTRING) lg_add_position(L);
  return lua_error(L);
}

/* coroutine.wrap: upvalue 1 is the stock coroutine.create. */
static int lg_co_wrap(lua_State *L) {
#if LG_COROUTINES_ARE_LUA
  luaL_argcheck(L, lua_isfunction(L, 1) && !lua_iscfunction(L, 1), 1, "Lua function expected");
#else
  luaL_checktype(L, 1, LUA_TFUNCTION);
#endif
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushcclosure(L, lg_auxwrap, 1);
  return 1;
}

#if LG_HAS_CLOSE
/* coroutine.close: upvalue 1 is the stock coroutine.status, whose words decide. */
static int lg_co_close(lua_State *L) {
  lua_State *co = LG_CLOSES_ITSELF && lua_isnone(L, 1) ? L : lg_checkco(L);
  if (co == L) {
#if LG_CLOSES_ITSELF
    if (L == lg_state_of(L)->L) return luaL_error(L, "cannot close main thread");
    (void)lua_closethread(co, L); /* closing itself: does not return */
#endif
    return luaL_error(L, "cannot close a running coroutine");
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  const char *state = lua_tostring(L, -1);
  if (state[0] != 's' && state[0] != 'd') return luaL_error(L, "cannot close a %s coroutine", state);
  if (lg_close_tracked(L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}
#endif

/* The coroutine library; the stock one is the table on top (replaced). */
static void lg_open_coroutine(lua_State *L) {
  static const char *const kept[] = {"create", "status", "running", "yield", "isyieldable", NULL};
  int stock = lua_gettop(L);
  lua_createtable(L, 0, 8);
  for (int i = 0; kept[i] != NULL; i++) {
    (void)lua_getfield(L, stock, kept[i]);
    lua_setfield(L, -2, kept[i]);
  }
  lua_pushcfunction(L, lg_co_resume);
  lua_setfield(L, -2, "resume");
  (void)lua_getfield(L, stock, "create");
  lua_pushcclosure(L, lg_co_wrap, 1);
  lua_setfield(L, -2, "wrap");
#if LG_HAS_CLOSE
  (void)lua_getfield(L, stock, "status");
  lua_pushcclosure(L, lg_co_close, 1);
  lua_setfield(L, -2, "close");
#endif
  lua_replace(L, stock);
}

#endif
