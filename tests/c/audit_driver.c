/* Lists every function a script can reach in one Lua version: audit_driver LUA_LIBRARY.
 *
 * Starts where a script starts (all its globals, a string, a number, nil, a function, a coroutine) and follows table
 * entries, metatables, upvalues and environments. One line each: the shortest path found first, and whether it is C. */
#define LG_API_DRIVER(X)                                                                                               \
  X(int, lua_iscfunction, (lua_State *, int))                                                                          \
  X(const char *, lua_getupvalue, (lua_State *, int, int))                                                             \
  X(lua_State *, lua_newthread, (lua_State *))
#include LG_INSTANCE_FILE
#include "os/library.h"

enum { MAX_SEEN = 4000, MAX_PATH = 400 };

static struct {
  const void *identity;
  char path[MAX_PATH];
  int depth;
} queue[MAX_SEEN];
static int queued;
static void (*audit_getfenv)(lua_State *, int); /* lua_getfenv: 5.1 and LuaJIT; else NULL */

/* Put the value on top (popped) into the table of values to visit (index 1), unless it was met before. */
static void visit_later(lua_State *L, const char *path, const char *step) {
  int type = lua_type(L, -1);
  const void *identity = lua_topointer(L, -1);
  if (type != LUA_TTABLE && type != LUA_TFUNCTION && type != LUA_TTHREAD && type != LUA_TUSERDATA) identity = NULL;
  for (int i = 0; i < queued && identity != NULL; i++) {
    if (queue[i].identity == identity) identity = NULL;
  }
  if (identity == NULL || queued == MAX_SEEN) {
    lua_pop(L, 1);
    return;
  }
  queue[queued].identity = identity;
  (void)snprintf(queue[queued].path, MAX_PATH, "%s%s", path, step);
  queued++;
  lua_rawseti(L, 1, queued);
}

/* The metatable of the value at index 2, its own or its type's. */
static void visit_metatable(lua_State *L, const char *path) {
  if (lua_getmetatable(L, 2)) visit_later(L, path, "<metatable>");
}

/* Push the key of the table at index 2 that comes next after `last` in the order of their texts; 0 when there is none. Each Lua
 * has an order of its own, which may change with every state. */
static int next_name(lua_State *L, const char *last) {
  const char *best = NULL;
  lua_pushnil(L);
  int found = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) continue;
    const char *name = lua_tolstring(L, -1, NULL);
    if ((last != NULL && strcmp(name, last) <= 0) || (best != NULL && strcmp(name, best) >= 0)) continue;
    best = name;
    lua_pushvalue(L, -1);
    lua_replace(L, found);
  }
  return best != NULL;
}

static void visit_table(lua_State *L, const char *path) {
  char step[120];
  int top = lua_gettop(L);
  for (const char *last = NULL; next_name(L, last);) {
    last = lua_tolstring(L, -1, NULL);
    (void)snprintf(step, sizeof step, ".%.100s", last);
    lua_pushvalue(L, -1);
    lua_rawget(L, 2);
    visit_later(L, path, step);
    lua_replace(L, top + 1); /* anchors the name */
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    if (lua_type(L, -2) == LUA_TSTRING) {
      lua_pop(L, 1);
      continue;
    }
    (void)snprintf(step, sizeof step, "[%s]", luaL_typename(L, -2));
    visit_later(L, path, step);
    lua_pushvalue(L, -1);
    visit_later(L, path, "<key>");
  }
}

static void visit_function(lua_State *L, const char *path) {
  char step[40];
  printf("%s %s\n", path, lua_iscfunction(L, 2) ? "C" : "Lua");
  for (int i = 1; lua_getupvalue(L, 2, i) != NULL; i++) {
    (void)snprintf(step, sizeof step, "<upvalue %d>", i);
    visit_later(L, path, step);
  }
  if (audit_getfenv == NULL) return;
  audit_getfenv(L, 2);
  visit_later(L, path, "<environment>");
}

static int audit(lua_State *L) {
  struct lg_state *st = lua_touserdata(L, 1);
  lua_settop(L, 0);
  lua_newtable(L);
  lg_env_push(L, st, lg_all_globals);
  visit_later(L, "", "_G");
  lua_pushliteral(L, "");
  lua_insert(L, 2);
  lua_settop(L, 2);
  visit_metatable(L, "string");
  lua_pushboolean(L, 1);
  lua_replace(L, 2);
  visit_metatable(L, "boolean");
  lua_pushinteger(L, 1);
  lua_replace(L, 2);
  visit_metatable(L, "number");
  lua_pushnil(L);
  lua_replace(L, 2);
  visit_metatable(L, "nil");
  (void)lua_newthread(L);
  lua_replace(L, 2);
  visit_metatable(L, "coroutine");
  for (int i = 0; i < queued; i++) {
    lua_settop(L, 1);
    (void)lua_rawgeti(L, 1, i + 1);
    visit_metatable(L, queue[i].path);
    if (lua_istable(L, 2)) visit_table(L, queue[i].path);
    if (lua_isfunction(L, 2)) visit_function(L, queue[i].path);
    if (lua_type(L, 2) == LUA_TUSERDATA || lua_type(L, 2) == LUA_TTHREAD)
      printf("%s %s\n", queue[i].path, luaL_typename(L, 2));
  }
  return 0;
}

int main(int argc, char **argv) {
  static const char *const names[] = {"host_function"};
  char why[200] = "no module is named";
  const char *missing = why;
  void *handle = argc > 1 ? lg_library_open(argv[1], why, sizeof why) : NULL;
  const struct lg_ops *ops = handle == NULL ? NULL : LG_NAME(resolve)(lg_library_find, handle, &missing);
  void *getfenv = handle == NULL ? NULL : lg_library_find(handle, "lua_getfenv");
  memcpy(&audit_getfenv, &getfenv, sizeof getfenv);
  struct lg_state *st = ops == NULL ? NULL : lg_state_new(ops, 1, names, 0, NULL);
  if (st == NULL || ops->open(st, NULL) != LG_OK) {
    fprintf(stderr, "no Lua: %s\n", missing);
    return 2;
  }
  int status = lg_protected(st->L, audit, st);
  lg_state_free(st);
  return status == LUA_OK && queued < MAX_SEEN ? 0 : 1;
}
