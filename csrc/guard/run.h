/* The guarded call: measured, limited, protected. Once per Lua version.
 *
 * Everything that touches the Lua state happens inside a protected call (lg_protected), so an error, the limit or a
 * refusal by the operating system ends in a status, never in Lua's panic. */
#ifndef LG_RUN_H
#define LG_RUN_H

#include "script.h"
#include "stackfloor.h"

enum { LG_BUFFER_KEEP = 1 << 16 };

/* Call fn(L) protected, with ud as its only argument; leaves the stack as it was, whatever happens. LUA_OK or a status. */
static int lg_protected(lua_State *L, lua_CFunction fn, void *ud) {
#if LG_LUA == 501
  int status = lua_cpcall(L, fn, ud);
#else
  lua_pushcfunction(L, fn); /* a C function without upvalues: pushing it allocates nothing */
  lua_pushlightuserdata(L, ud);
  int status = lua_pcall(L, 1, 0, 0);
#endif
  if (status != LUA_OK) lua_pop(L, 1);
  return status;
}

/* Forget the globals of the run: the state's own, and those its compiled script still holds. */
static int lg_forget_globals(lua_State *L) {
  const struct lg_state *st = lua_touserdata(L, 1);
  int ref = st->rq->ref >= 0 ? st->rq->ref : st->rp->ref;
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->idle_ref);
  int idle = lua_gettop(L);
  lua_pushvalue(L, idle);
  lg_set_globals(L);
  if (ref >= 0) {
    (void)lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    lg_bind_globals(L, idle);
  }
  return 0;
}

/* A full collection of the bare state costs 1 to 8 us and makes the next run's figures start from what is live. Where an
 * engine holds much compiled code, it waits until there is an eighth of that to collect, so that the cost of a run does
 * not grow with what the engine holds. */
static int lg_worth_collecting(const struct lg_state *st) {
  enum { LG_SMALL_STATE = 1 << 16 };
  size_t garbage = st->meter.current > st->base_bytes ? st->meter.current - st->base_bytes : 0;
  return st->base_bytes <= LG_SMALL_STATE || garbage > st->base_bytes / 8;
}

/* After a run, and in a call of its own: 5.1 gives every C function the globals of the moment, this one's too. */
static int lg_collect(lua_State *L) {
  struct lg_state *st = lua_touserdata(L, 1);
  lua_pushboolean(L, 0);
  lua_rawseti(L, LUA_REGISTRYINDEX, st->error_ref);
  if (lg_worth_collecting(st)) {
    size_t before = 0;
    do { /* of a string table or buffer that a run made large, Lua gives back half in each collection */
      before = st->meter.current;
      (void)lg_gc(L, LUA_GCCOLLECT);
    } while (st->meter.current < before && st->meter.current > st->base_bytes);
    st->base_bytes = st->meter.current;
  }
  return 0;
}

static void lg_prepare(struct lg_state *st, const struct lg_request *rq, struct lg_report *rp) {
  memset(rp, 0, sizeof *rp);
  rp->ref = -1;
  rp->outcome = -1;
  st->rq = rq;
  st->rp = rp;
  st->error_kind = LG_ERROR_NONE;
  st->log_entries = 0;
  st->log_bytes = 0;
  st->instructions_left = rq->max_instructions;
  st->counted = rq->max_instructions > 0;
  lg_buf_reset(&st->output, LG_BUFFER_KEEP);
  lg_buf_reset(&st->logs, LG_BUFFER_KEEP);
  st->message.len = 0;
  st->traceback.len = 0;
  st->path.len = 0;
  atomic_store(&st->interrupt, LG_INT_NONE);
  lg_call_remember(st);
  st->running = st->L;
  st->stack_floor = lg_c_floor();
  st->host_floor = lg_c_host_floor();
}

static void lg_outcome(struct lg_state *st, int status) {
  struct lg_report *rp = st->rp;
  if (rp->outcome == LG_RUN_OK || rp->outcome == LG_RUN_UNWATCHED) return;
  if (lg_is_interrupted(st)) {
    int reason = atomic_load(&st->interrupt);
    rp->outcome = reason == LG_INT_TIMEOUT    ? LG_RUN_TIMEOUT
                  : reason == LG_INT_CPU      ? LG_RUN_CPU
                  : reason == LG_INT_BUDGET   ? LG_RUN_BUDGET
                  : reason == LG_INT_CALLBACK ? LG_RUN_CALLBACK
                                              : LG_RUN_INTERRUPTED;
    return;
  }
  if (rp->outcome == -1) rp->outcome = status == LUA_ERRMEM ? lg_memory_outcome(st) : LG_RUN_ERROR;
  if (rp->outcome != LG_RUN_ERROR) return;
  if (st->error_kind == LG_ERROR_FORBIDDEN) rp->outcome = LG_RUN_FORBIDDEN;
  rp->cause = st->error_kind == LG_ERROR_CALLBACK;
}

static void lg_finish(struct lg_state *st, int status) {
  struct lg_report *rp = st->rp;
  struct lg_meter *m = &st->meter;
  lg_outcome(st, status);
  if (rp->end_bytes == 0) rp->end_bytes = m->current;
  rp->peak_bytes = m->peak;
  rp->allocated_bytes = m->allocated_bytes;
  rp->allocation_count = m->allocation_count;
  rp->refused_allocations = m->refused;
  rp->wanted_bytes = m->wanted;
  rp->reserved_bytes = lg_meter_reserved(m);
  lg_lift_limit(st);
  st->running = NULL;
  lg_boxes_clear(st);
  lg_buf_reset(&st->scratch, 0); /* a run that ended inside string.rep left its text there */
  (void)lua_sethook(st->L, NULL, 0, 0);
  (void)lg_protected(st->L, lg_forget_globals, st);
  (void)lg_protected(st->L, lg_collect, st);
  lg_arena_trim(&m->arena, m->peak);
  st->rq = NULL;
  st->rp = NULL;
}

static void lg_probe_at(struct lg_report *rp, struct lg_probe_reading *reading) {
  if (rp->process_status == LG_OK) rp->process_status = lg_probe_read(reading, &rp->process_os_error);
}

/* The part runs and compiles share: watched, timed, protected. */
static void lg_guarded(struct lg_state *st, const struct lg_request *rq, struct lg_report *rp, lua_CFunction body) {
  lg_prepare(st, rq, rp);
  int status = LUA_OK;
  int64_t started = lg_now_ns();
  const struct lg_watch_limits limits = {
      rq->timeout_ns > 0 && rq->timeout_ns < INT64_MAX - started ? started + rq->timeout_ns : INT64_MAX, rq->cpu_ns,
      rq->tick_ns, rq->by_hook};
  void (*fire)(struct lg_watch *, int) = rq->by_hook ? lg_state_flagged : lg_state_fired;
  if (lg_watch_begin(&st->watch, started, &limits, fire, &rp->os_error) == LG_OK) {
    uint64_t begun = lg_watch_begun();
    int shared = lg_watch_active() > 1;
    if (rq->measure_process) lg_probe_at(rp, &rp->before);
    status = lg_protected(st->L, body, st);
    if (rq->measure_process) lg_probe_at(rp, &rp->after);
    rp->process_shared = shared || lg_watch_begun() != begun;
    lg_watch_end(&st->watch);
  } else {
    rp->outcome = LG_RUN_UNWATCHED;
  }
  rp->duration_ns = lg_now_ns() - started;
  lg_finish(st, status);
}

static void lg_ops_run(struct lg_state *st, const struct lg_request *rq, struct lg_report *rp) {
  lg_guarded(st, rq, rp, lg_run_body);
}

static void lg_ops_compile(struct lg_state *st, const struct lg_request *rq, struct lg_report *rp) {
  lg_guarded(st, rq, rp, lg_compile_body);
}

#endif
