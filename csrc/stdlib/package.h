/* package, require, and 5.1's module: the modules of one run. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. lg_open_package() makes all
 * of it anew for a run that mentions any of it. What is loaded stands in a table that is the run's own (lg_modules). Files are
 * the host's: a name or a path is only a text here, and the host decides whether it lies below a directory that scripts may
 * use. */
#ifndef LG_STDLIB_PACKAGE_H
#define LG_STDLIB_PACKAGE_H

#include "debuglib.h"
#include "files.h"

/* A light userdata of this value stands for a module that is being loaded. It is no address: a script could learn some of one by
 * the places of keys in its tables. */
#define LG_LOADING_MARK ((void *)(uintptr_t)1)

/* Append s, with `to` in the place of each `from`, which is not empty. */
static void lg_add_replaced(struct lg_strbuf *b, const char *s, size_t n, const char *from, const char *to) {
  size_t from_len = strlen(from);
  const char *end = s + n;
  while (s < end) {
    lg_poll(lg_state_of(b->L), b->L);
    const char *at = lg_find_byte(b->L, s, (size_t)(end - s), from[0]);
    if (at == NULL) break;
    if ((size_t)(end - at) >= from_len && memcmp(at, from, from_len) == 0) {
      lg_sb_add(b, s, (size_t)(at - s));
      lg_sb_add(b, to, strlen(to));
      s = at + from_len;
    } else {
      lg_sb_add(b, s, (size_t)(at - s) + 1);
      s = at + 1;
    }
  }
  lg_sb_add(b, s, (size_t)(end - s));
}

/* Push s with `to` in the place of each `from`. */
static const char *lg_push_replaced(lua_State *L, const char *s, size_t n, const char *from, const char *to) {
  struct lg_strbuf b;
  lg_sb_init(L, &b);
  lg_add_replaced(&b, s, n, from, to);
  lg_sb_push(&b);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

/* Whether scripts may read a file of that path. */
static int lg_is_readable(lua_State *L, const char *path) {
  if (!lg_has_files(lg_state_of(L))) return 0;
  (void)lua_pushstring(L, path);
  int found = lg_ask(L, "fs.readable", 1);
  lua_pop(L, 1);
  return found;
}

/* The next template of a path: it begins at *template, and is so long. 0 when there is none. */
static int lg_next_template(lua_State *L, const char **template, const char *end, size_t *len) {
  size_t skipped = 0;
  for (; !LG_SEARCHER_IS_BARE && *template != end && **template == ';'; ++*template) {
    if (++skipped % LG_CHUNK == 0) lg_poll(lg_state_of(L), L);
  }
  if (!LG_SEARCHER_IS_BARE && *template == end) return 0;
  const char *mark = lg_find_byte(L, *template, (size_t)(end - *template), ';');
  *len = (size_t)((mark == NULL ? end : mark) - *template);
  return 1;
}

/* Look for `name` by the templates of `path`. Pushes the first file that can be read; or the message about those that cannot,
 * and 0. */
static int lg_search_path(lua_State *L, const char *name, const char *path, const char *sep, const char *dirsep) {
  struct lg_strbuf message;
  int top = lua_gettop(L);
  size_t len = 0;
  lg_stack_for(L, LUA_MINSTACK, "too many templates");
  if (*sep != '\0') name = lg_push_replaced(L, name, strlen(name), sep, dirsep);
  lg_sb_init(L, &message);
  const char *start = LG_SEARCHER_IS_BARE ? "no file '" : "\n\tno file '";
  const char *end = path + strlen(path);
  while (lg_next_template(L, &path, end, &len)) {
    const char *file = lg_push_replaced(L, path, len, "?", name);
    if (lg_is_readable(L, file)) break;
    lg_poll(lg_state_of(L), L);
    lg_sb_add(&message, start, strlen(start));
    lg_sb_addvalue(&message);
    lg_sb_addchar(&message, '\'');
    start = "\n\tno file '";
    path += len;
    if (path == end) break;
    path++;
  }
  int found = lua_gettop(L) > message.slot;
  if (!found) lg_sb_push(&message);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return found;
}

#if LG_HAS_SEARCHPATH
static int lg_searchpath(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *path = luaL_checkstring(L, 2);
  const char *sep = luaL_optlstring(L, 3, ".", NULL);
  if (lg_search_path(L, name, path, sep, luaL_optlstring(L, 4, LG_DIRECTORY_SEPARATOR, NULL))) return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}
#endif

/* ---- searchers; upvalue 1 of each is package, or of the first the table of preloaded modules ---- */

static int lg_search_preload(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lg_may_call_back(L);
#if LG_PRELOAD_IS_FIELD
  (void)lua_getfield(L, lua_upvalueindex(1), "preload");
  if (!lua_istable(L, -1)) luaL_error(L, "'package.preload' must be a table");
#else
  lua_pushvalue(L, lua_upvalueindex(1));
#endif
  (void)lua_getfield(L, -1, name);
  if (lua_isnil(L, -1)) {
    (void)lua_pushfstring(L, "%sno field package.preload['%s']", LG_SEARCHER_IS_BARE ? "" : "\n\t", name);
    return 1;
  }
  if (!LG_REQUIRE_GIVES_DATA) return 1;
  (void)lua_pushliteral(L, ":preload:");
  return 2;
}

static int lg_search_files(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lg_may_call_back(L);
  (void)lua_getfield(L, lua_upvalueindex(1), "path");
  const char *path = lua_tostring(L, -1);
  if (path == NULL) luaL_error(L, "'package.path' must be a string");
  if (!lg_search_path(L, name, path, ".", LG_DIRECTORY_SEPARATOR)) return 1;
  const char *file = lua_tostring(L, -1);
  lua_pushvalue(L, -1);
  int read = lg_ask(L, "fs.module", 1);
  (void)lua_rawgeti(L, -1, read ? 1 : 2);
  if (!read || !lg_load_file_text(L, file))
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file, lua_tostring(L, -1));
  (void)lua_pushstring(L, file);
  return 2;
}

/* ---- require ---- */

/* Leave the loader of the module `name` on the stack, and above it, from 5.2 on, what its searcher returned beside it. Index 3
 * holds the list of searchers. */
static void lg_find_loader(lua_State *L, const char *name) {
  struct lg_strbuf message;
  lg_sb_init(L, &message);
  for (int i = 1;; i++) {
    lg_poll(lg_state_of(L), L);
    (void)lua_rawgeti(L, 3, i);
    if (lua_isnil(L, -1)) {
      lg_sb_push(&message);
      luaL_error(L, "module '%s' not found:%s", name, lua_tostring(L, -1));
    }
    (void)lua_pushstring(L, name);
    lua_call(L, 1, 1 + LG_LOADER_TAKES_DATA);
    if (lua_isfunction(L, -1 - LG_LOADER_TAKES_DATA)) return;
    if (LG_LOADER_TAKES_DATA) lua_pop(L, 1);
    if (lua_isstring(L, -1)) {
      if (LG_SEARCHER_IS_BARE) lg_sb_add(&message, "\n\t", 2);
      lg_sb_addvalue(&message);
    } else {
      lua_pop(L, 1);
    }
  }
}

/* Whether the value on top says that a module is being loaded. */
static int lg_is_loading(lua_State *L) { return LG_REQUIRE_MARKS && lua_touserdata(L, -1) == LG_LOADING_MARK; }

/* Call the loader that lg_find_loader() left, and note what it returns in the table of loaded modules at index 2. */
static void lg_run_loader(lua_State *L, const char *name) {
  if (LG_REQUIRE_MARKS) {
    lua_pushlightuserdata(L, LG_LOADING_MARK);
    lua_setfield(L, 2, name);
  }
  int arguments = 1 + LG_LOADER_TAKES_DATA;
  (void)lua_pushstring(L, name);
  if (LG_LOADER_TAKES_DATA) lua_insert(L, -2);
  lua_call(L, arguments, 1);
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else
    lua_setfield(L, 2, name);
  (void)lua_getfield(L, 2, name);
  if (!lua_isnil(L, -1) && !lg_is_loading(L)) return;
  if (LG_REQUIRE_MARKS && lua_isnil(L, -1)) return; /* the module took its own mark away */
  lua_pop(L, 1);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, 2, name);
}

/* require(name). Upvalue 1 is package. */
static int lg_require(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lg_may_call_back(L);
  lua_settop(L, 1);
  (void)lua_getfield(L, LUA_REGISTRYINDEX, lg_modules);
  (void)lua_getfield(L, 2, name);
  if (lua_toboolean(L, -1)) {
    if (lg_is_loading(L)) luaL_error(L, "loop or previous error loading module '%s'", name);
    return 1;
  }
  lua_pop(L, 1);
  (void)lua_getfield(L, lua_upvalueindex(1), LG_SEARCHERS);
  if (!lua_istable(L, -1)) luaL_error(L, "'package.%s' must be a table", LG_SEARCHERS);
  lg_find_loader(L, name);
  if (!LG_REQUIRE_GIVES_DATA) {
    lg_run_loader(L, name);
    return 1;
  }
  lua_pushvalue(L, -1);
  lua_insert(L, 3);
  lg_run_loader(L, name);
  lua_pushvalue(L, 3);
  return 2;
}

/* ---- module, and package.seeall ---- */

#if LG_HAS_MODULE
/* Push the table that the dotted name stands for among the globals; what is missing of it is made. 0 for a name that is taken. */
static int lg_push_named_table(lua_State *L, const char *name) {
  const char *end = name + strlen(name);
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  for (;;) {
    lg_poll(lg_state_of(L), L);
    const char *dot = lg_find_byte(L, name, (size_t)(end - name), '.');
    size_t n = (size_t)((dot == NULL ? end : dot) - name);
    lua_pushlstring(L, name, n);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      lua_newtable(L);
      lua_pushvalue(L, -1);
      lua_setfield(L, -4, lua_tostring(L, -3));
    } else if (!lua_istable(L, -1)) {
      return 0;
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
    if (name[n] == '\0') return 1;
    name += n + 1;
  }
}

/* Make the table on top the environment of the Lua function that called, which must be one of the script's. */
static void lg_set_caller_env(lua_State *L) {
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "f", &ar) || !lg_push_own_globals(L))
    luaL_error(L, "'module' not called from a Lua function");
  lua_pop(L, 1);
  lua_pushvalue(L, -2);
  (void)lua_setfenv(L, -2);
  lua_pop(L, 1);
}

/* Give the module in the table on top its first fields. */
static void lg_begin_module(lua_State *L, const char *name) {
  const char *dot = strrchr(name, '.');
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "_M");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "_NAME");
  lua_pushlstring(L, name, dot == NULL ? 0 : (size_t)(dot - name) + 1);
  lua_setfield(L, -2, "_PACKAGE");
}

/* module(name, ...): the functions after the name get the module's table. */
static int lg_module(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  int last = lua_gettop(L);
  lg_may_call_back(L);
  lua_getfield(L, LUA_REGISTRYINDEX, lg_modules);
  lua_getfield(L, -1, name);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    if (!lg_push_named_table(L, name)) return luaL_error(L, "name conflict for module '%s'", name);
    lua_pushvalue(L, -1);
    lua_setfield(L, last + 1, name);
  }
  lua_getfield(L, -1, "_NAME");
  int begun = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (!begun) lg_begin_module(L, name);
  lua_pushvalue(L, -1);
  lg_set_caller_env(L);
  lua_pop(L, 1);
  for (int i = 2; i <= last; i++) {
    lg_poll(lg_state_of(L), L);
    lua_pushvalue(L, i);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
  }
  return 0;
}

static int lg_seeall(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lg_may_call_back(L);
  if (!lua_getmetatable(L, 1)) {
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -1);
    (void)lua_setmetatable(L, 1);
  }
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  lua_setfield(L, -2, "__index");
  return 0;
}
#endif

/* ---- what a run gets ---- */

/* Push package, and offer require in the globals at index env; the table of loaded modules is at index `loaded`. */
static void lg_open_package(lua_State *L, int env, int loaded) {
  lua_createtable(L, 0, 9);
  int package = lua_gettop(L);
  lua_pushvalue(L, loaded);
  lua_setfield(L, package, "loaded");
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, package, "preload");
  if (LG_PRELOAD_IS_FIELD) lua_pushvalue(L, package);
  lua_createtable(L, 2, 0);
  lua_insert(L, -2);
  lua_pushcclosure(L, lg_search_preload, 1);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, package);
  lua_pushcclosure(L, lg_search_files, 1);
  lua_rawseti(L, -2, 2);
  lua_setfield(L, package, LG_SEARCHERS);
  (void)lua_pushliteral(L, LG_DIRECTORY_SEPARATOR "\n;\n?\n!\n-" LG_CONFIG_END);
  lua_setfield(L, package, "config");
  (void)lua_pushliteral(L, "." LG_DIRECTORY_SEPARATOR "?.lua;." LG_DIRECTORY_SEPARATOR "?" LG_DIRECTORY_SEPARATOR
                           "init.lua");
  lua_setfield(L, package, "path");
  (void)lua_pushliteral(L, "");
  lua_setfield(L, package, "cpath");
#if LG_HAS_SEARCHPATH
  lg_offer_c(L, package, "searchpath", lg_searchpath);
#endif
#if LG_HAS_MODULE
  lg_offer_c(L, package, "seeall", lg_seeall);
  lg_offer_c(L, env, "module", lg_module);
#endif
  lua_pushvalue(L, package);
  lua_pushcclosure(L, lg_require, 1);
  lua_setfield(L, env, "require");
  lua_settop(L, package);
}

#endif
