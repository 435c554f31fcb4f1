/* What keeps a state as the next run needs it: forgetting a run, collecting, and the image before and after. Once per Lua version.
 *
 * Contract: on the thread that uses the state, around the script's own code, never within it. */
#ifndef LG_UPKEEP_H
#define LG_UPKEEP_H

#include "protect.h"
#include "script.h"

/* Put right what a run has changed of the state itself, once its globals are forgotten. This may take memory, so it may fail:
 * then `changed` says what is left to do. */
static int lg_put_right(lua_State *L) {
  struct lg_state *st = lua_touserdata(L, 1);
  if ((st->changed & LG_CHANGED_STRINGS) != 0) lg_reset_string_methods(L, st);
  if ((st->changed & LG_CHANGED_COLLECTOR) != 0) lg_collector_restore(L, st);
  if ((st->changed & LG_CHANGED_LOADED) != 0) lg_own_forget(L, st);
  st->changed = 0;
  return 0;
}

/* Forget the globals of the run: the state's own, and those its compiled script still holds; and a script that is not to be
 * kept. This takes no memory: each place in the registry that is written is there already. */
static int lg_forget_run(lua_State *L) {
  struct lg_state *st = lua_touserdata(L, 1);
  int ref = st->rp->ref;
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->refs.idle);
  int idle = lua_gettop(L);
  lua_pushvalue(L, idle);
  lg_set_globals(L);
  if (ref >= 0) {
    (void)lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    lg_bind_globals(L, idle);
    if (st->rq->ref < 0 && !st->rq->keep) luaL_unref(L, LUA_REGISTRYINDEX, ref);
  }
  lua_pushboolean(L, 0);
  lua_rawseti(L, LUA_REGISTRYINDEX, st->error.ref);
  return 0;
}

/* In a call of its own: 5.1 gives every C function the globals of the moment, this one's too. */
static int lg_collect(lua_State *L) {
  struct lg_state *st = lua_touserdata(L, 1);
  size_t before = 0;
  do { /* of a string table or buffer that a run made large, Lua gives back half in each collection */
    before = st->meter.current;
    (void)lg_gc(L, LUA_GCCOLLECT);
  } while (st->meter.current < before && st->meter.current > st->kept.bytes);
  st->kept.collected_bytes = st->meter.current;
  return 0;
}

static int lg_release_body(lua_State *L) {
  const int *ref = lua_touserdata(L, 1);
  luaL_unref(L, LUA_REGISTRYINDEX, *ref);
  return 0;
}

/* Keep the functions above in the registry. To free a reference there makes its list of free ones, so that is done here too. */
static void lg_keep_functions(lua_State *L, struct lg_state *st) {
  const struct {
    int *ref;
    lua_CFunction function;
  } kept[] = {{&st->refs.forget, lg_forget_run},
              {&st->refs.put_right, lg_put_right},
              {&st->refs.collect, lg_collect},
              {&st->refs.release, lg_release_body}};
  for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
    lua_pushcfunction(L, kept[i].function);
    *kept[i].ref = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_pushboolean(L, 1);
  luaL_unref(L, LUA_REGISTRYINDEX, luaL_ref(L, LUA_REGISTRYINDEX));
}

/* Collect all garbage. */
static void lg_collect_state(struct lg_state *st) { (void)lg_protected_kept(st->L, st->refs.collect, st); }

/* Forget the run that is over. */
static void lg_forget(struct lg_state *st) {
  (void)lg_protected_kept(st->L, st->refs.forget, st);
  if (st->changed == 0 || lg_protected_kept(st->L, st->refs.put_right, st) == LUA_OK) return;
  lg_collect_state(st);
  (void)lg_protected_kept(st->L, st->refs.put_right, st);
}

/* Whether nothing is left of what earlier runs have changed. Something is where the system had no memory to put it right, and
 * has none yet. */
static int lg_is_right(struct lg_state *st) {
  return st->changed == 0 || lg_protected_kept(st->L, st->refs.put_right, st) == LUA_OK;
}

/* Whether the state has grown so much from `clean` bytes that it is worth cleaning. A small one always: putting its image back
 * takes less than a microsecond, and then each run of a script shows the same figures. Where an engine holds much compiled code,
 * it waits until there is an eighth of that, so that the cost of a run or a compile does not grow with what the engine holds; but
 * no more than a sixteenth of a run's limit, which the next run could hold in its place. And where the run told the collector something:
 * to put that right could take the collector long. */
static int lg_worth_cleaning(const struct lg_state *st, size_t clean) {
  enum { LG_SMALL_STATE = 1 << 16 };
  size_t garbage = st->meter.current > clean ? st->meter.current - clean : 0;
  return clean <= LG_SMALL_STATE || garbage > clean / 8 || garbage > st->rq->memory_limit / 16 ||
         (st->changed & LG_CHANGED_COLLECTOR) != 0;
}

/* Where runs may be given up; NULL for nowhere. */
static const struct lg_text *lg_text_to_stop_in(const struct lg_state *st) {
  return st->ending.no_hard_stop || st->kept.image.data == NULL || st->ops->no_stop != NULL ? NULL : &st->ops->text;
}

/* The state as the next run needs it. */
static void lg_clean_up(struct lg_state *st, int abandoned) {
  lg_buf_reset(&st->scratch, 0); /* a run that ended inside string.rep left its text there */
  if (abandoned || (st->kept.image.data != NULL && !st->kept.stale && lg_worth_cleaning(st, st->kept.bytes))) {
    lg_state_rewind(st);
    return;
  }
  lg_boxes_clear(st);
  (void)lua_sethook(st->L, NULL, 0, 0);
  lg_forget(st);
  if (st->kept.image.data != NULL && !st->kept.stale) {
    st->kept.dirty = 1;
    return;
  }
  if (lg_worth_cleaning(st, st->kept.collected_bytes)) lg_collect_state(st);
  if (st->kept.stale) return;
  st->kept.bytes = st->kept.collected_bytes;
  lg_arena_trim(&st->meter.arena, st->meter.peak);
}

/* Whether there is an image, or may be one again after there was no room for it. */
static int lg_can_keep(const struct lg_state *st) {
  return st->meter.chained == NULL && st->meter.arena.range.size != 0;
}

/* Take what was compiled into the image, before anything of it runs. */
static void lg_refresh(struct lg_state *st) {
  st->running = NULL; /* no hook gets into the image */
  (void)lua_sethook(st->L, NULL, 0, 0);
  lg_state_keep(st);
  st->running = st->L;
  st->stop.text = lg_text_to_stop_in(st);
}

/* Begin with an image that holds all that was compiled. Copying it for each of many scripts that are compiled in a row would
 * take more and more time, so the compiling of a small source, which takes no long step, does without the hard stop instead. */
static void lg_begin_with_image(struct lg_state *st, const struct lg_request *rq, int only_compile) {
  enum { LG_SMALL_SOURCE = 4096 };
  if (st->kept.dirty && lg_begins_clean(rq)) lg_state_rewind(st);
  if (!st->kept.stale) return;
  if (only_compile && rq->source_len <= LG_SMALL_SOURCE)
    st->stop.text = NULL;
  else
    lg_refresh(st);
}

#endif
