/* The few Lua calls the arena's benchmarks need, found in any shared object that exports them. One per process. */
#ifndef BENCH_ARENA_LUA_H
#define BENCH_ARENA_LUA_H

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../csrc/meter/meter.h"

typedef struct lua_State lua_State;
typedef int (*any_fn)(void);

static struct {
  lua_State *(*luaL_newstate)(void);
  lua_State *(*lua_newstate)(lg_alloc_fn, void *);
  lua_State *(*lua_newstate_seed)(lg_alloc_fn, void *, unsigned);
  void (*lua_close)(lua_State *);
  void (*luaL_openlibs)(lua_State *);
  void (*luaL_openselectedlibs)(lua_State *, int, int);
  int (*loadfile)(lua_State *, const char *, const char *);
  int (*loadstring)(lua_State *, const char *);
  int (*pcallk)(lua_State *, int, int, int, ptrdiff_t, any_fn);
  int (*pcall51)(lua_State *, int, int, int);
  int (*lua_gc)(lua_State *, int, int);
  void (*lua_settop)(lua_State *, int);
  const char *(*lua_tolstring)(lua_State *, int, size_t *);
} api;

static void resolve(const char *path) {
  void *so = dlopen(path, RTLD_LAZY | RTLD_GLOBAL);
  if (so == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  const char *names[] = {
      "luaL_newstate",  "lua_newstate",    "lua_newstate", "lua_close", "luaL_openlibs", "luaL_openselectedlibs",
      "luaL_loadfilex", "luaL_loadstring", "lua_pcallk",   "lua_pcall", "lua_gc",        "lua_settop",
      "lua_tolstring"};
  void *found[sizeof names / sizeof *names];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) found[i] = dlsym(so, names[i]);
  if (found[6] == NULL) found[6] = dlsym(so, "luaL_loadfile"); /* 5.1: without the mode argument */
  memcpy(&api, found, sizeof api);
}

/* A state with the standard libraries, on the stock allocator or on m's. */
static lua_State *open_state(struct lg_meter *m) {
  lua_State *L;
  if (m == NULL)
    L = api.luaL_newstate();
  else if (api.luaL_openselectedlibs != NULL)
    L = api.lua_newstate_seed(lg_meter_alloc, m, 1);
  else
    L = api.lua_newstate(lg_meter_alloc, m);
  if (api.luaL_openselectedlibs != NULL)
    api.luaL_openselectedlibs(L, ~0, 0); /* 5.5 */
  else
    api.luaL_openlibs(L);
  if (m != NULL) lg_arena_seal(&m->arena);
  return L;
}

static int call_top(lua_State *L) {
  return api.pcallk != NULL ? api.pcallk(L, 0, 0, 0, 0, NULL) : api.pcall51(L, 0, 0, 0);
}

#endif
