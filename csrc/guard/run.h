/* The guarded call: measured, limited, protected. Once per Lua version.
 *
 * Everything that touches the Lua state happens inside a protected call (protect.h). */
#ifndef LG_RUN_H
#define LG_RUN_H

#include "upkeep.h"

enum { LG_BUFFER_KEEP = 1 << 16 };

static void lg_prepare(struct lg_state *st, const struct lg_request *rq, struct lg_report *rp) {
  memset(rp, 0, sizeof *rp);
  rp->ref = rq->ref;
  rp->globals = rq->globals;
  rp->outcome = -1;
  st->rq = rq;
  st->rp = rp;
  st->progress.compiled = (struct lg_compiled){0};
  st->error.kind = LG_ERROR_NONE;
  st->answer.log_entries = 0;
  st->answer.log_bytes = 0;
  lg_ending_begin(&st->ending, &st->budget, rq->max_instructions);
  lg_stop_here(&st->stop);
  st->stop.told_ns = 0;
  st->stop.text = lg_text_to_stop_in(st);
  lg_buf_reset(&st->answer.output, LG_BUFFER_KEEP);
  lg_buf_reset(&st->answer.logs, LG_BUFFER_KEEP);
  st->answer.message.len = 0;
  st->answer.traceback.len = 0;
  st->answer.path.len = 0;
  st->running = st->L;
  st->floors.lua = lg_c_floor();
  st->floors.host = lg_c_host_floor();
}

/* What the run's end came to. One that was given up ends for the reason it was told. */
static void lg_outcome(struct lg_state *st, int abandoned) {
  struct lg_report *rp = st->rp;
  if (!abandoned && (rp->outcome == LG_RUN_OK || rp->outcome == LG_RUN_UNWATCHED)) return;
  if (abandoned || lg_is_interrupted(st)) {
    int reason = atomic_load(&st->ending.flag);
    rp->outcome = reason == LG_INT_TIMEOUT    ? LG_RUN_TIMEOUT
                  : reason == LG_INT_CPU      ? LG_RUN_CPU
                  : reason == LG_INT_BUDGET   ? LG_RUN_BUDGET
                  : reason == LG_INT_STILL    ? LG_RUN_STILL
                  : reason == LG_INT_CALLBACK ? LG_RUN_CALLBACK
                                              : LG_RUN_INTERRUPTED;
    rp->stopped = abandoned ? LG_STOPPED_STATE : LG_STOPPED_ERROR;
    return;
  }
  if (rp->outcome == -1) rp->outcome = st->progress.status == LUA_ERRMEM ? lg_memory_outcome(st) : LG_RUN_ERROR;
  if (rp->outcome == LG_RUN_MEMORY || rp->outcome == LG_RUN_OUTPUT) rp->stopped = LG_STOPPED_ERROR;
  if (rp->outcome != LG_RUN_ERROR) return;
  rp->cause = st->error.kind == LG_ERROR_CALLBACK;
}

static void lg_figures(struct lg_state *st) {
  struct lg_report *rp = st->rp;
  const struct lg_meter *m = &st->meter;
  const struct lg_compiled *c = &st->progress.compiled;
  if (rp->end_bytes == 0) rp->end_bytes = m->current;
  rp->peak_bytes = m->peak > rp->start_bytes + c->growth ? m->peak : rp->start_bytes + c->growth;
  rp->allocated_bytes = m->allocated_bytes + c->allocated_bytes;
  rp->allocation_count = m->allocation_count + c->allocation_count;
  rp->refused_allocations = m->refused + c->refused_allocations;
  rp->wanted_bytes = m->wanted;
  rp->reserved_bytes = lg_state_held(st);
}

/* Nothing of what was half-way is known any more: what the script had outside of its state is let go, and what it had logged
 * stays. */
static void lg_abandon(struct lg_state *st) {
  st->ending.hard_stops++;
  st->answer.output.len = 0;
  st->answer.message.len = 0;
  st->answer.traceback.len = 0;
  st->rp->line = 0;
  st->meter.arena.capped = 0;
}

static void lg_finish(struct lg_state *st, int abandoned) {
  st->running = NULL;
  if (abandoned) lg_abandon(st);
  if (LG_OWN_LIBRARIES & st->rp->globals) lg_lines_finish(st);
  lg_outcome(st, abandoned);
  lg_figures(st);
  lg_lift_limit(st);
  lg_clean_up(st, abandoned);
  if (st->rq->ref >= 0 || !st->rq->keep) st->rp->ref = -1; /* only what was compiled now, and stays, is news */
  st->rq = NULL;
  st->rp = NULL;
}

static void lg_probe_at(struct lg_report *rp, struct lg_probe_reading *reading) {
  if (rp->process_status == LG_OK) rp->process_status = lg_probe_read(reading, &rp->process_os_error);
}

static void lg_call_compile(void *ud) {
  struct lg_state *st = ud;
  st->progress.status = lg_protected(st->L, lg_compile_body, st);
}

static void lg_call_collect(void *ud) { lg_collect_state(ud); }

static void lg_call_run(void *ud) {
  struct lg_state *st = ud;
  st->progress.status = lg_protected(st->L, lg_run_body, st);
}

/* Whether the run goes on after what it has done so far. */
static int lg_goes_on(const struct lg_state *st) {
  return st->progress.status == LUA_OK && st->rp->outcome == -1 && !lg_is_interrupted(st);
}

/* Compile the source. 1 when it was given up. */
static int lg_compile(struct lg_state *st) {
  struct lg_meter *m = &st->meter;
  if (lg_stop_call(&st->stop, lg_call_compile, st)) {
    st->rp->ref = -1;
    return 1;
  }
  lg_lift_limit(st);
  size_t start = st->rp->start_bytes;
  st->progress.compiled = (struct lg_compiled){m->peak - start, 0, m->allocated_bytes, m->allocation_count, m->refused};
  if (!lg_goes_on(st)) return 0;
  if (st->rq->keep && lg_can_keep(st)) {
    if (lg_worth_cleaning(st, st->kept.collected_bytes) && lg_stop_call(&st->stop, lg_call_collect, st)) {
      st->rp->ref = -1;
      return 1;
    }
    st->kept.stale = 1;
  }
  st->progress.compiled.kept = m->current > start ? m->current - start : 0;
  return 0;
}

/* The part runs and compiles share: compile where there is a source, then, unless that is all, run. 1 when it was given up. */
static int lg_execute(struct lg_state *st, int only_compile) {
  st->progress.status = LUA_OK;
  if (st->rq->ref < 0) {
    if (lg_compile(st)) return 1;
    if (!lg_goes_on(st)) return 0;
    if (only_compile) {
      st->rp->outcome = LG_RUN_OK;
      return 0;
    }
    if (st->kept.stale) lg_refresh(st);
  }
  return lg_stop_call(&st->stop, lg_call_run, st);
}

/* Watched, timed, protected. */
static void lg_guarded(struct lg_state *st, const struct lg_request *rq, struct lg_report *rp, int only_compile) {
  lg_prepare(st, rq, rp);
  lg_begin_with_image(st, rq, only_compile);
  int abandoned = 0;
  int64_t started = lg_now_ns();
  const struct lg_watch_limits limits = {
      rq->timeout_ns > 0 && rq->timeout_ns < INT64_MAX - started ? started + rq->timeout_ns : INT64_MAX, rq->cpu_ns,
      rq->tick_ns, st->stop.text != NULL, st->budget.counted ? &st->budget.moves : NULL};
  if (!lg_is_right(st)) {
    rp->outcome = LG_RUN_NO_MEMORY;
  } else if (lg_watch_begin(&st->watch, started, &limits, &lg_state_calls, &rp->os_error) == LG_OK) {
    uint64_t begun = lg_watch_begun();
    int shared = lg_watch_active() > 1;
    if (rq->measure_process) lg_probe_at(rp, &rp->before);
    abandoned = lg_execute(st, only_compile);
    if (rq->measure_process) lg_probe_at(rp, &rp->after);
    rp->process_shared = shared || lg_watch_begun() != begun;
    lg_watch_end(&st->watch);
  } else {
    rp->outcome = LG_RUN_UNWATCHED;
  }
  rp->duration_ns = lg_now_ns() - started;
  lg_finish(st, abandoned);
}

static void lg_ops_run(struct lg_state *st, const struct lg_request *rq, struct lg_report *rp) {
  lg_guarded(st, rq, rp, 0);
}

static void lg_ops_compile(struct lg_state *st, const struct lg_request *rq, struct lg_report *rp) {
  lg_guarded(st, rq, rp, 1);
}

#endif
