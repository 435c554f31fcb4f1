/* collectgarbage, gcinfo and setmetatable: what a script may ask of the collector. Once per Lua version.
 *
 * Contract
 * - C functions that hostile scripts call, each on the run's thread inside the guarded call.
 * - The options act on the state's collector. What a run has set is the run's own: the first change notes what was there
 *   (struct lg_collector), and lg_collector_restore() puts it back where the state's image is not put back. No setting
 *   weakens a limit: a long step is ended by the hard stop, and memory is refused as ever.
 * - No finalizer ever runs: no object is marked as having one. */
#ifndef LG_STDLIB_GARBAGE_H
#define LG_STDLIB_GARBAGE_H

#include "args.h"

#if LG_TABLES_HAVE_FINALIZERS
/* Make the table at 2 the metatable of that at 1, which alone stays. At 3 and 4 are __gc and the value that the metatable has for
 * it. Lua looks for __gc while it sets a metatable, and never later (luaC_checkfinalizer), so the field is nil meanwhile.
 *
 * To put the field back cannot be refused. lua_rawset() asks for memory where the table lacks the key; this one has it, with nil
 * for its value (luaH_set in 5.2 to 5.4, luaH_psetshortstr and luaH_finishset in 5.5). Only a collection or a rehash takes such a
 * key away, and nothing here allocates, so neither happens. */
static void lg_set_without_finalizer(lua_State *L) {
  lua_pushvalue(L, 3);
  lua_pushnil(L);
  lua_rawset(L, 2);
  lua_pushvalue(L, 2);
  (void)lua_setmetatable(L, 1);
  lua_rawset(L, 2);
  lua_settop(L, 1);
}

/* setmetatable, with which a table's __gc is a field like any other. */
static int lg_setmetatable(lua_State *L) {
  int t = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
#if LG_HAS_TYPEERROR
  if (t != LUA_TNIL && t != LUA_TTABLE) return luaL_typeerror(L, 2, "nil or table");
#else
  luaL_argcheck(L, t == LUA_TNIL || t == LUA_TTABLE, 2, "nil or table expected");
#endif
  if (luaL_getmetafield(L, 1, "__metatable")) return luaL_error(L, "cannot change a protected metatable");
  lua_settop(L, 2);
  if (t == LUA_TTABLE) {
    (void)lua_pushliteral(L, "__gc");
    lua_pushvalue(L, 3);
    (void)lua_rawget(L, 2);
    if (!lua_isnil(L, 4)) {
      lg_set_without_finalizer(L);
      return 1;
    }
    lua_settop(L, 2);
  }
  (void)lua_setmetatable(L, 1);
  return 1;
}
#endif

/* ---- the collector's settings ---- */

#if LG_GC_HAS_PARAM
static const char *const lg_gc_parameters[] = {"minormul", "majorminor", "minormajor", "pause",
                                               "stepmul",  "stepsize",   NULL};
enum { LG_GC_PARAMETERS = 6 };
/* Set parameter number `which`, unless the value is negative; what it was. */
static int lg_gc_parameter(lua_State *L, int which, int value) { return lua_gc(L, LUA_GCPARAM, which, value); }
#else
enum { LG_GC_PARAMETERS = LG_GC_HAS_MAJORINC ? 3 : 2 };
static int lg_gc_parameter(lua_State *L, int which, int value) { return lua_gc(L, LUA_GCSETPAUSE + which, value); }
#endif

_Static_assert((int)LG_GC_PARAMETERS <= (int)LG_COLLECTOR_PARAMETERS, "struct lg_collector has a place for each");

/* Call before anything of the collector is changed. */
static void lg_collector_note(lua_State *L, struct lg_state *st) {
  if ((st->changed & LG_CHANGED_COLLECTOR) != 0) return;
  st->collector.stopped = 0;
  st->collector.generational = 0;
  for (int i = 0; i < LG_GC_PARAMETERS; i++) {
    st->collector.before[i] = lg_gc_parameter(L, i, LG_GC_HAS_PARAM ? -1 : 0);
    if (!LG_GC_HAS_PARAM) (void)lg_gc_parameter(L, i, st->collector.before[i]);
  }
  st->changed |= LG_CHANGED_COLLECTOR;
}

/* Put the collector's settings back after a run that changed any, once nothing holds what that run has made. */
static void lg_collector_restore(lua_State *L, struct lg_state *st) {
#if LG_GC_MODES_TAKE_VALUES
  if ((st->changed & LG_CHANGED_YOUNG) != 0) {
    /* Nothing tells what these were: they are what lua_newstate() sets. A full collection first gives up the one that is under
     * way, which may be long, and which the change of the mode would bring to its end. */
    (void)lg_gc(L, LUA_GCCOLLECT);
    (void)lua_gc(L, LUA_GCGEN, LG_GC_MINOR_MULTIPLIER, LG_GC_MAJOR_MULTIPLIER);
  }
  (void)lua_gc(L, LUA_GCINC, 0, 0, LG_GC_STEP_SIZE);
#elif LG_GC_HAS_MODES
  if (st->collector.generational) (void)lg_gc(L, LUA_GCINC);
#endif
  for (int i = 0; i < LG_GC_PARAMETERS; i++) (void)lg_gc_parameter(L, i, st->collector.before[i]);
  if (st->collector.stopped) (void)lg_gc(L, LUA_GCRESTART);
}

#if LG_STOP_REFUSES_MEMORY
/* The meter refuses a stopped state's request: let Lua collect before it gives up, as the other versions do. Called from within
 * Lua's allocator, which has nothing half-way: of the state, two counters change. */
static void lg_collector_wake(struct lg_meter *m) {
  struct lg_state *st = (struct lg_state *)m;
  if ((st->changed & LG_CHANGED_COLLECTOR) == 0 || !st->collector.stopped) return;
  st->collector.stopped = 0;
  (void)lg_gc(st->L, LUA_GCRESTART);
}
#endif

/* ---- collectgarbage ---- */

static const char *const lg_gc_names[] = {"stop",
                                          "restart",
                                          "collect",
                                          "count",
                                          "step",
#if LG_GC_HAS_PARAM
                                          "param",
#else
                                          "setpause", "setstepmul",
#endif
#if LG_GC_HAS_MAJORINC
                                          "setmajorinc",
#endif
#if LG_GC_HAS_ISRUNNING
                                          "isrunning",
#endif
#if LG_GC_HAS_MODES
                                          "generational",
                                          "incremental",
#endif
                                          NULL};
static const int lg_gc_options[] = {LUA_GCSTOP,        LUA_GCRESTART, LUA_GCCOLLECT, LUA_GCCOUNT, LUA_GCSTEP,
#if LG_GC_HAS_PARAM
                                    LUA_GCPARAM,
#else
                                    LUA_GCSETPAUSE, LUA_GCSETSTEPMUL,
#endif
#if LG_GC_HAS_MAJORINC
                                    LUA_GCSETMAJORINC,
#endif
#if LG_GC_HAS_ISRUNNING
                                    LUA_GCISRUNNING,
#endif
#if LG_GC_HAS_MODES
                                    LUA_GCGEN,         LUA_GCINC
#endif
};

#if LG_GC_STEP_IS_SIZE
#define lg_gc_argument(L, idx) luaL_optinteger(L, (idx), 0)
#elif LG_HAS_INTEGERS
#define lg_gc_argument(L, idx) ((int)luaL_optinteger(L, (idx), 0))
#else
#define lg_gc_argument(L, idx) lg_optint(L, (idx), 0)
#endif

/* A step as large as the script wants it. Of a large heap it goes in pieces, with a look at the deadline between them, until
 * there are enough or a cycle has ended. 5.5 makes one short step at most, whatever the size. */
static int lg_gc_steps(lua_State *L, struct lg_state *st) {
  lua_Integer left = lg_gc_argument(L, 2);
  const int whole = LG_GC_STEP_IS_SIZE || st->meter.current <= LG_AT_ONCE || lg_is_generational(st);
  const lua_Integer piece = whole ? left : 1 << 10; /* KiB: two milliseconds at most */
  int done = 0;
  do {
    lg_poll(st, L);
    lg_moved(st);
    done = lg_gc_step(L, left > piece ? piece : left);
    left -= piece;
  } while (done == 0 && left > 0);
  lua_pushboolean(L, done);
  return 1;
}

static int lg_gc_count(lua_State *L, const struct lg_state *st) {
  lua_pushnumber(L, (lua_Number)st->meter.current / 1024.0);
#if LG_GC_COUNT_IS_TWO
  lua_pushinteger(L, (lua_Integer)(st->meter.current % 1024));
  return 2;
#else
  return 1;
#endif
}

#if LG_GC_HAS_MODES
/* "generational" and "incremental". */
static int lg_gc_mode(lua_State *L, struct lg_state *st, int option) {
#if LG_GC_MODES_TAKE_VALUES
  const int first = lg_gc_argument(L, 2);
  const int second = lg_gc_argument(L, 3);
  const int third = option == LUA_GCINC ? lg_gc_argument(L, 4) : 0;
#endif
  lg_poll(st, L);
  lg_collector_note(L, st);
  st->collector.generational = option == LUA_GCGEN;
#if LG_GC_MODES_TAKE_VALUES
  if (option == LUA_GCGEN && (first != 0 || second != 0)) st->changed |= LG_CHANGED_YOUNG;
  int before = lua_gc(L, option, first, second, third);
#else
  int before = lg_gc(L, option);
#endif
#if LG_GC_MODES_TELL
  (void)lua_pushstring(L, before == LUA_GCINC ? "incremental" : "generational");
#else
  lua_pushinteger(L, before);
#endif
  return 1;
}
#endif

/* What sets a parameter. */
static int lg_gc_set(lua_State *L, struct lg_state *st, int option) {
#if LG_GC_HAS_PARAM
  (void)option;
  int which = luaL_checkoption(L, 2, NULL, lg_gc_parameters);
  int value = (int)luaL_optinteger(L, 3, -1);
#else
  int which = option - LUA_GCSETPAUSE;
  int value = lg_gc_argument(L, 2);
#endif
  lg_collector_note(L, st);
  lua_pushinteger(L, lg_gc_parameter(L, which, value));
  return 1;
}

static int lg_gc_switch(lua_State *L, struct lg_state *st, int option) {
  lg_collector_note(L, st);
  st->collector.stopped = option == LUA_GCSTOP;
#if LG_STOP_REFUSES_MEMORY
  st->meter.refusing = lg_collector_wake;
#endif
  lua_pushinteger(L, lg_gc(L, option));
  return 1;
}

static int lg_collectgarbage(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  (void)luaL_optlstring(L, 1, NULL, NULL); /* LuaJIT's luaL_checkoption() takes the default for what is no string */
  int option = lg_gc_options[luaL_checkoption(L, 1, "collect", lg_gc_names)];
#if LG_GC_CHECKS_VALUE
  (void)lg_gc_argument(L, 2);
#endif
#if LG_COLLECTING_RESTARTS
  if (option == LUA_GCCOLLECT || option == LUA_GCSTEP) st->collector.stopped = 0;
#endif
  switch (option) {
    case LUA_GCCOUNT: return lg_gc_count(L, st);
    case LUA_GCCOLLECT:
      lg_poll(st, L);
      lg_collect_all(st, L);
      lua_pushinteger(L, 0);
      return 1;
    case LUA_GCSTEP: return lg_gc_steps(L, st);
    case LUA_GCSTOP:
    case LUA_GCRESTART: return lg_gc_switch(L, st, option);
#if LG_GC_HAS_ISRUNNING
    case LUA_GCISRUNNING: lua_pushboolean(L, lg_gc(L, LUA_GCISRUNNING)); return 1;
#endif
#if LG_GC_HAS_MODES
    case LUA_GCGEN:
    case LUA_GCINC: return lg_gc_mode(L, st, option);
#endif
    default: return lg_gc_set(L, st, option);
  }
}

#if LG_HAS_GCINFO
/* gcinfo: what is in use, in whole KiB. */
static int lg_gcinfo(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)(lg_state_of(L)->meter.current / 1024));
  return 1;
}
#endif

#endif
