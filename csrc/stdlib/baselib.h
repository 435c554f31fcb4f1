/* The base functions of the sandbox, put together: stock ones, and those that differ. Once per Lua version.
 *
 * Contract: inside a protected call, before any script runs; `t` is the index of the table that the functions go to. */
#ifndef LG_STDLIB_BASELIB_H
#define LG_STDLIB_BASELIB_H

#include "fenv.h"
#include "garbage.h"
#include "load.h"
#include "print.h"
#include "tablib.h"
#include "tonumber.h"
#include "xpcall.h"

static void lg_offer_c(lua_State *L, int t, const char *name, lua_CFunction f) {
  lua_pushcfunction(L, f);
  lua_setfield(L, t, name);
}

/* Note the functions that raise what a script gives them. */
static void lg_note_raisers(lua_State *L, int stock) {
  static const char *const names[] = {"error", "assert"};
  for (int i = 0; i < 2; i++) {
    (void)lua_getfield(L, stock, names[i]);
    lg_state_of(L)->refs.raisers[i] = lua_topointer(L, -1);
    lua_pop(L, 1);
  }
}

/* Put the base functions into the table at t; the stock ones are in the table at `stock`. */
static void lg_offer_base(lua_State *L, int t, int stock) {
  static const char *const kept[] = {"assert",
                                     "error",
                                     "ipairs",
                                     "next",
                                     "pairs",
                                     "pcall",
                                     "rawequal",
                                     "rawget",
                                     "rawset",
                                     "select",
                                     "type",
                                     "xpcall",
                                     "_VERSION",
                                     "getmetatable",
#if LG_HAS_RAWLEN
                                     "rawlen",
#endif
#if !LG_TABLES_HAVE_FINALIZERS
                                     "setmetatable",
#endif
#if LG_TONUMBER_IS_STOCK
                                     "tonumber",
#endif
                                     NULL};
  for (int i = 0; kept[i] != NULL; i++) {
    (void)lua_getfield(L, stock, kept[i]);
    lua_setfield(L, t, kept[i]);
  }
  lg_note_raisers(L, stock);
  lg_offer_xpcall(L, t);
  lg_offer_c(L, t, "tostring", lg_base_tostring);
  lg_offer_c(L, t, "print", lg_print);
  lg_offer_c(L, t, "log", lg_log);
  lg_offer_c(L, t, "load", lg_load);
  lg_offer_c(L, t, "collectgarbage", lg_collectgarbage);
#if LG_HAS_GCINFO
  lg_offer_c(L, t, "gcinfo", lg_gcinfo);
#endif
#if LG_HAS_WARN
  lg_offer_c(L, t, "warn", lg_warn);
#endif
#if LG_TABLES_HAVE_FINALIZERS
  lg_offer_c(L, t, "setmetatable", lg_setmetatable);
#endif
#if !LG_TONUMBER_IS_STOCK
  lg_offer_c(L, t, "tonumber", lg_tonumber);
#endif
#if LG_HAS_LOADSTRING
  lg_offer_c(L, t, "loadstring", lg_loadstring);
  lg_offer_c(L, t, "unpack", lg_tab_unpack);
#endif
#if LG_HAS_FENV
  lg_offer_c(L, t, "getfenv", lg_getfenv);
  lg_offer_c(L, t, "setfenv", lg_setfenv);
#endif
}

#endif
