/* Runs a Lua script against a Lua that is loaded at run time, with the stock functions and this project's side by side.
 *
 *   lib_driver LIBRARY SCRIPT [ARG...]
 *
 * LIBRARY is a shared object that exports the Lua C API of the version this file was compiled for (lua_build.py). The
 * same file built as a shared object is called from Python with one of lupa's modules as LIBRARY: lg_driver_main().
 * The script sees, beside the stock base, string, table, math, os and io libraries:
 *   stock, ours            tables of the stock functions, and of this project's, under the same names
 *   arg                    {ARG...}
 *   clock()                monotonic seconds
 *   interrupt_in(seconds)  from then on the run counts as interrupted; 0: now
 *   since_interrupt()      CPU seconds of this thread since it did
 *   calm()                 not interrupted, and no such appointment; whether it had been interrupted
 *   limit(bytes or nil)    how much the Lua heap may grow from here
 *   heap()                 bytes in use
 * Exit code 0, or 1 with the error on stderr.
 * LG_DRIVER_LIBS, when defined, names a header to include instead of stdlib/find.h: it defines
 * lg_driver_open(lua_State *L), which leaves the two tables on the stack, `stock` below `ours`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LG_API_DRIVER(X)                                                                                               \
  X(void, lua_close, (lua_State *))                                                                                    \
  X(int, luaopen_io, (lua_State *))
#include "lua/lua_api.h"
#include "guard/cputime.h"
#include "guard/stackfloor.h"
#include "guard/state.h"
#include "os/library.h"
#include "os/sync.h"

#ifdef LG_DRIVER_LIBS
#include LG_DRIVER_LIBS
#else
#include "stdlib/find.h"

static void lg_driver_open(lua_State *L) {
  lua_pushcfunction(L, luaopen_string);
  (void)lua_pushliteral(L, "string");
  lua_call(L, 1, 1);
  lua_newtable(L);
  lg_open_match(L);
}
#endif

int lg_driver_main(int argc, char **argv);

static struct lg_state state;

static void *lg_plain_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  (void)ud;
  (void)osize;
  if (nsize == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, nsize);
}

static uint64_t lg_cpu_clock;     /* of the thread that runs the script */
static atomic_llong lg_alarm_cpu; /* what it had used when it was interrupted, ns */

/* The thread that interrupts. */
static struct lg_thread lg_alarm_thread;
static lg_mutex lg_alarm_mutex = LG_MUTEX_INIT;
static lg_event lg_alarm_changed;
static int64_t lg_alarm_at; /* under the mutex: when it is to; INT64_MAX for never, 0 for no more */

static void lg_interrupt_now(void) {
  atomic_store(&lg_alarm_cpu, lg_cpu_clock_ns(lg_cpu_clock));
  atomic_store(&state.ending.flag, LG_INT_TIMEOUT);
}

static void lg_alarms(void) {
  lg_mutex_lock(&lg_alarm_mutex);
  while (lg_alarm_at != 0) {
    if (lg_alarm_at == INT64_MAX) {
      lg_event_wait(&lg_alarm_changed, &lg_alarm_mutex);
    } else if (lg_now_ns() < lg_alarm_at) {
      lg_event_wait_until(&lg_alarm_changed, &lg_alarm_mutex, lg_alarm_at);
    } else {
      lg_alarm_at = INT64_MAX;
      lg_interrupt_now();
    }
  }
  lg_mutex_unlock(&lg_alarm_mutex);
}

static void lg_set_alarm(int64_t at) {
  lg_mutex_lock(&lg_alarm_mutex);
  lg_alarm_at = at;
  lg_event_wake(&lg_alarm_changed);
  lg_mutex_unlock(&lg_alarm_mutex);
}

static int lg_drv_clock(lua_State *L) {
  lua_pushnumber(L, (double)lg_now_ns() * 1e-9);
  return 1;
}

static int lg_drv_interrupt_in(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  if (seconds <= 0)
    lg_interrupt_now();
  else
    lg_set_alarm(lg_now_ns() + (int64_t)(seconds * 1e9));
  return 0;
}

static int lg_drv_since_interrupt(lua_State *L) {
  lua_pushnumber(L, (double)(lg_cpu_here_ns() - atomic_load(&lg_alarm_cpu)) * 1e-9);
  return 1;
}

static int lg_drv_calm(lua_State *L) {
  lg_set_alarm(INT64_MAX);
  lua_pushboolean(L, atomic_exchange(&state.ending.flag, LG_INT_NONE) != LG_INT_NONE);
  return 1;
}

static int lg_drv_limit(lua_State *L) {
  struct lg_meter *m = &state.meter;
  lg_meter_limit(m, lua_isnoneornil(L, 1) ? LG_NO_LIMIT : m->current + (size_t)luaL_checknumber(L, 1));
  return 0;
}

static int lg_drv_heap(lua_State *L) {
  lua_pushnumber(L, (double)state.meter.current);
  return 1;
}

static void lg_drv_global(lua_State *L, const char *name) { /* pops the value */
#if LG_HAS_GLOBALSINDEX
  lua_setfield(L, LUA_GLOBALSINDEX, name);
#else
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
#endif
}

static void lg_drv_functions(lua_State *L) {
  static const struct {
    const char *name;
    lua_CFunction f;
  } list[] = {{"clock", lg_drv_clock},
              {"interrupt_in", lg_drv_interrupt_in},
              {"since_interrupt", lg_drv_since_interrupt},
              {"calm", lg_drv_calm},
              {"limit", lg_drv_limit},
              {"heap", lg_drv_heap}};
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
    lua_pushcfunction(L, list[i].f);
    lg_drv_global(L, list[i].name);
  }
}

static void lg_drv_libraries(lua_State *L) {
  static const char *const names[] = {"_G", "string", "table", "math", "os", "io"};
  const lua_CFunction open[] = {luaopen_base, luaopen_string, luaopen_table, luaopen_math, luaopen_os, luaopen_io};
  for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
    lua_pushcfunction(L, open[i]);
    (void)lua_pushstring(L, i == 0 ? "" : names[i]);
    lua_call(L, 1, LG_OPENERS_SET_GLOBALS ? 0 : 1);
    if (!LG_OPENERS_SET_GLOBALS) lg_drv_global(L, names[i]);
  }
#if !LG_OPENERS_SET_GLOBALS
  lua_pushcfunction(L, luaopen_coroutine);
  lua_call(L, 0, 1);
  lg_drv_global(L, "coroutine");
#endif
}

struct driver_text {
  char *data;
  size_t len;
};

static const char *lg_drv_read(lua_State *L, void *ud, size_t *size) {
  struct driver_text *text = ud;
  (void)L;
  *size = text->len;
  text->len = 0;
  return *size > 0 ? text->data : NULL;
}

static struct driver_text lg_drv_file(const char *path) {
  struct driver_text text = {NULL, 0};
  FILE *f = fopen(path, "rb");
  if (f == NULL) return text;
  if (fseek(f, 0, SEEK_END) == 0) {
    long size = ftell(f);
    rewind(f);
    text.data = size > 0 ? malloc((size_t)size) : NULL;
    if (text.data != NULL) text.len = fread(text.data, 1, (size_t)size, f);
  }
  (void)fclose(f);
  return text;
}

/* Protected; its argument is a light userdata: the argument vector from the script on, NULL at its end. */
static int lg_drv_body(lua_State *L) {
  char **argv = lua_touserdata(L, 1);
  lg_drv_libraries(L);
  lg_drv_functions(L);
  lg_box_open(L, &state);
  lg_driver_open(L);
  lg_drv_global(L, "ours");
  lg_drv_global(L, "stock");
  lua_newtable(L);
  for (int i = 1; argv[i] != NULL; i++) {
    (void)lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  lg_drv_global(L, "arg");
  struct driver_text text = lg_drv_file(argv[0]);
  (void)lua_pushstring(L, "@");
  (void)lua_pushstring(L, argv[0]);
  lua_concat(L, 2);
#if LG_LOAD_TAKES_MODE
  int status = lua_load(L, lg_drv_read, &text, lua_tostring(L, -1), "t");
#else
  int status = lua_load(L, lg_drv_read, &text, lua_tostring(L, -1));
#endif
  free(text.data);
  if (status != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

static lua_State *lg_drv_state(void) {
  memset(&state, 0, sizeof state);
  lg_meter_init(&state.meter);
#if LG_HAS_OWN_ALLOCATOR
  lua_State *L = luaL_newstate();
  if (L == NULL) return NULL;
  state.meter.chained = lua_getallocf(L, &state.meter.chained_ud);
  state.meter.current = (size_t)lg_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lg_gc(L, LUA_GCCOUNTB);
  lua_setallocf(L, lg_meter_alloc, &state);
  (void)luaJIT_setmode(L, 0, 0); /* the engine off, as in the sandbox */
  return L;
#else
  state.meter.chained = lg_plain_alloc; /* one malloc per block: what a sanitizer wants */
#if LG_NEWSTATE_TAKES_SEED
  return lua_newstate(lg_meter_alloc, &state, 1);
#else
  return lua_newstate(lg_meter_alloc, &state);
#endif
#endif
}

static void lg_drv_close(lua_State *L) {
#if LG_HAS_OWN_ALLOCATOR
  lua_setallocf(L, state.meter.chained, state.meter.chained_ud);
#endif
  lua_close(L);
  lg_meter_close(&state.meter);
}

static int lg_drv_resolve(const char *path) {
  char why[200];
  void *handle = lg_library_open(path, why, sizeof why);
  if (handle == NULL) {
    fprintf(stderr, "%s\n", why);
    return -1;
  }
  const char *missing = lg_api_fill(lg_library_find, handle);
  if (missing != NULL) {
    fprintf(stderr, "%s does not export %s\n", path, missing);
    return -1;
  }
  return 0;
}

int lg_driver_main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: lib_driver LIBRARY SCRIPT [ARG...]\n");
    return 2;
  }
  if (lg_drv_resolve(argv[1]) != 0) return 2;
  lua_State *L = lg_drv_state();
  if (L == NULL) {
    fprintf(stderr, "no Lua state\n");
    return 2;
  }
  lg_cpu_clock = lg_cpu_clock_here();
  lg_alarm_at = INT64_MAX;
  if (lg_event_make(&lg_alarm_changed) != 0 || lg_thread_start(&lg_alarm_thread, lg_alarms) != 0) {
    fprintf(stderr, "no thread\n");
    return 2;
  }
  state.floors.lua = lg_c_floor();
  lua_pushcfunction(L, lg_drv_body);
  lua_pushlightuserdata(L, argv + 2);
  int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) {
    const char *message = lua_tostring(L, -1);
    fprintf(stderr, "error: %s\n", message != NULL ? message : "(not a string)");
  }
  lg_set_alarm(0);
  lg_thread_join(&lg_alarm_thread);
  lg_drv_close(L);
  (void)fflush(stdout); /* inside Python nothing else would */
  return status == LUA_OK ? 0 : 1;
}

int main(int argc, char **argv) { return lg_driver_main(argc, argv); }
