/* What happens inside the one protected call of a run or a compile. Once per Lua version.
 *
 * The limit is enforced only while the script's own code runs, from compiling it to packing its output; what the host does
 * around that (globals, context) is counted and never refused. */
#ifndef LG_SCRIPT_H
#define LG_SCRIPT_H

#include "env.h"
#include "failure.h"
#include "hooks.h"

/* Lua's own message about a NUL names none ("<eof> expected"), and what has them is mostly UTF-16, or no text at all. */
static void lg_mention_nul(struct lg_state *st) {
  const char *source = st->rq->source;
  const char *nul = memchr(source, '\0', st->rq->source_len);
  if (nul == NULL) return;
  char text[96];
  int len =
      snprintf(text, sizeof text, " (byte %zu of the source is NUL: give UTF-8 text)", (size_t)(nul - source) + 1);
  (void)lg_buf_append(&st->answer.message, text, (size_t)len);
}

/* Compile rq's source onto the stack; or set the outcome and return 0. */
static int lg_load_script(lua_State *L, struct lg_state *st) {
  const struct lg_request *rq = st->rq;
  struct lg_load_source src = {st, rq->source, rq->source_len, 0, NULL};
  lg_skip_head(&src); /* the host is what the program lua is: a script is a file to it */
  if (src.len > 0 && src.text[0] == '\033') {
    st->rp->outcome = LG_RUN_SYNTAX;
    static const char binary[] = "the script is compiled Lua code: only source text is accepted";
    lg_keep_text(&st->answer.message, binary, sizeof binary - 1);
    return 0;
  }
  int status = lg_load_with(L, lg_read_text, &src, rq->name);
  if (status == LUA_OK) return 1;
  if (lg_is_interrupted(st)) return 0;
  if (status == LUA_ERRMEM) {
    st->rp->outcome = lg_memory_outcome(st);
    return 0;
  }
  st->rp->outcome = LG_RUN_SYNTAX;
  size_t n = 0;
  const char *s = lua_tolstring(L, -1, &n);
  lg_keep_text(&st->answer.message, s == NULL ? "?" : s, s == NULL ? 1 : n);
  if (s != NULL) st->rp->line = lg_syntax_line(rq->name, s);
  lg_mention_nul(st);
  return 0;
}

/* Pack what the chunk returned (from index `first` up), or the global `result` when it returned nothing. */
static void lg_keep_output(lua_State *L, struct lg_state *st, int first) {
  struct lg_packer p;
  int rc = LG_PACK_OK;
  uint64_t n = (uint64_t)(lua_gettop(L) - first + 1);
  if (n == 0) {
    lua_pushliteral(L, "result");
    (void)lua_rawget(L, 1);
    if (lua_isnil(L, -1)) { /* no output at all: it fits in any bound */
      st->rp->outcome = LG_RUN_OK;
      return;
    }
  }
  p.needed = 0;
  if (n > 1 && lg_wire_word(&st->answer.output, LG_W_TUPLE, &n) != 0) rc = LG_PACK_NO_MEMORY;
  int last = n > 1 ? first + (int)n - 1 : first;
  for (int i = first; i <= last && rc == LG_PACK_OK; i++) {
    st->answer.path.len = 0;
    if (n > 1) {
      char index[24];
      int len = snprintf(index, sizeof index, "[%d]", i - first + 1);
      (void)lg_buf_append(&st->answer.path, index, (size_t)len);
    }
    size_t used = st->answer.output.len;
    rc = used > st->rq->max_output
             ? LG_PACK_TOO_LARGE
             : lg_pack(L, st, i, &st->answer.output, st->rq->max_output - used, &p, &st->answer.path);
  }
  switch (rc) {
    case LG_PACK_OK: st->rp->outcome = LG_RUN_OK; return;
    case LG_PACK_TOO_LARGE:
      st->rp->outcome = LG_RUN_OUTPUT;
      st->rp->output_bytes = p.needed > st->answer.output.len ? p.needed : st->answer.output.len;
      return;
    case LG_PACK_NO_MEMORY: st->rp->outcome = st->meter.refused_last ? LG_RUN_MEMORY : LG_RUN_NO_MEMORY; return;
    case LG_PACK_INTERRUPTED: return; /* lg_finish says why */
    default: break;
  }
  const char *why = rc == LG_PACK_CYCLE ? "cycle" : rc == LG_PACK_TOO_DEEP ? "depth" : p.what;
  st->rp->outcome = LG_RUN_DATA;
  st->rp->line = rc == LG_PACK_BAD_KEY;
  lg_keep_text(&st->answer.message, why, strlen(why));
}

/* Whether there is room for a run on this thread's stack; where not, the report says so. */
static int lg_stack_suffices(struct lg_state *st) {
  if (lg_stack_left() >= LG_C_STACK_LEAST) return 1;
  char text[128];
  int n = snprintf(text, sizeof text,
                   "C stack overflow: a script needs %d KiB of its thread's stack (threading.stack_size)",
                   (int)(LG_C_STACK_LEAST >> 10));
  st->rp->outcome = LG_RUN_ERROR;
  lg_keep_text(&st->answer.message, text, (size_t)n);
  return 0;
}

/* From here on the heap may grow to the request's limit above `start`, and what the state holds from the system is bounded
 * too. */
static void lg_impose_limit(struct lg_state *st, size_t start) {
  size_t growth = st->rq->memory_limit;
  lg_meter_limit(&st->meter, growth > LG_NO_LIMIT - start ? LG_NO_LIMIT : start + growth);
  st->meter.arena.reserved_max = lg_reserved_most(st->meter.limit);
}

static void lg_lift_limit(struct lg_state *st) {
  lg_meter_limit(&st->meter, LG_NO_LIMIT);
  st->meter.arena.reserved_max = LG_NO_LIMIT;
}

/* Whether the host wants what the script has written of lines that it did not end. */
static int lg_has_lines_to_hand_on(const struct lg_state *st) {
  const struct lg_line *lines = st->answer.lines;
  return st->host.log_function != 0 && (lines[LG_LINE_OUT].text.len | lines[LG_LINE_ERR].text.len) != 0;
}

/* Hand that on. */
static int lg_hand_on_lines(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  for (int i = 0; i < LG_LINES; i++) {
    size_t begin = st->answer.logs.len;
    if (st->answer.lines[i].text.len != 0) lg_line_end(st, i, "", 0);
    lg_log_hand_on(L, st, begin);
  }
  return 0;
}

/* The script itself, under its limit, from its first instruction to its packed output. Index 1 holds the globals. */
static void lg_run_limited(lua_State *L, struct lg_state *st, size_t start) {
  lg_impose_limit(st, start);
  if (!LG_RETRIES_REFUSED) lg_meter_aim(&st->meter);
  lua_pushcfunction(L, lg_on_error); /* index 2 */
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->rp->ref);
  lg_bind_globals(L, 1);
  if (st->budget.counted) lg_hook_steadily(L, st);
  int status = lua_pcall(L, 0, LUA_MULTRET, 2);
  if (status == LUA_OK && lg_has_lines_to_hand_on(st)) {
    lua_pushcfunction(L, lg_hand_on_lines);
    status = lua_pcall(L, 0, 0, 2);
  }
  if (status == LUA_OK) {
    st->rp->end_bytes = st->meter.current;
    lg_keep_output(L, st, 3);
    return;
  }
  /* Lua calls no handler when memory ran out, and gives up on one that failed. From 5.4 on it takes Lua's text for the former for
   * that, whoever raises it. */
  if (status == LUA_ERRMEM && lg_was_refused(st))
    st->rp->outcome = lg_memory_outcome(st);
  else if ((status == LUA_ERRMEM || status == LUA_ERRERR) && st->answer.message.len == 0)
    lg_keep_message(L, st, -1);
}

/* Garbage of earlier runs that goes while this one runs hides as much of what this one makes, so a script that can ask for a
 * collection begins without any. (What is not worth cleaning, Lua collects by itself only once a run has made seven times as
 * much.) */
static int lg_begins_clean(const struct lg_request *rq) {
  return rq->ref < 0 || (rq->globals >> LG_GLOBAL_collectgarbage & 1) != 0;
}

/* Whether the limit leaves the script anything beside the context, which goes in whole. Where not, the report says so. */
static int lg_context_fits(struct lg_state *st) {
  if (st->meter.current - st->rp->start_bytes <= st->rq->memory_limit) return 1;
  st->meter.refused++;
  st->meter.wanted = st->meter.current;
  st->rp->outcome = LG_RUN_MEMORY;
  return 0;
}

static int lg_run_body(lua_State *L) {
  struct lg_state *st = lua_touserdata(L, 1);
  const struct lg_request *rq = st->rq;
  lua_settop(L, 0);
  if (st->kept.image.data == NULL && st->meter.current > st->kept.bytes && rq->ref >= 0 && lg_begins_clean(rq)) {
    (void)lg_gc(L, LUA_GCCOLLECT);
    st->kept.bytes = st->kept.collected_bytes = st->meter.current;
  }
  lg_env_push(L, st, st->rp->globals);
  lg_meter_begin(&st->meter);
  /* What was compiled for this run is part of its growth. */
  st->rp->start_bytes = st->meter.current - st->progress.compiled.kept;
  if (!lg_stack_suffices(st)) return 0;
  if (rq->context != NULL) {
    lg_unpack(L, rq->context, rq->context_len);
    lua_setfield(L, 1, "context");
    if (!lg_context_fits(st)) return 0;
  }
  lg_run_limited(L, st, st->rp->start_bytes);
  return 0;
}

/* Compile the source and note it in the registry: rp->ref. */
static int lg_compile_body(lua_State *L) {
  struct lg_state *st = lua_touserdata(L, 1);
  const struct lg_request *rq = st->rq;
  lua_settop(L, 0);
  lg_meter_begin(&st->meter);
  st->rp->start_bytes = st->meter.current;
  if (!lg_stack_suffices(st)) return 0;
  st->rp->globals = lg_mentioned(st, rq->source, rq->source_len);
  lg_impose_limit(st, st->meter.current);
  if (!lg_load_script(L, st)) return 0;
  lg_lift_limit(st);
  st->rp->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

#endif
