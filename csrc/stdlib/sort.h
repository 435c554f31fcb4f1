/* table.sort: the quicksort of the version at hand, comparison by comparison, with a look at the deadline before each.
 * Compiled once per Lua version; part of tablib.h.
 *
 * Contract: as in tablib.h. The table is stack index 1, the order function (or nil) index 2. An order function that
 * contradicts itself, or a table that changes meanwhile, ends in an error or in some permutation, never outside the
 * table; recursion goes into the smaller part only, so its depth is at most 32. */
#ifndef LG_STDLIB_SORT_H
#define LG_STDLIB_SORT_H

#include <time.h>

#include "../guard/cstack.h"
#include "args.h"

/* t[i], t[j] = the two values on top: the upper one goes to i. */
static void lg_sort_set(lua_State *L, lg_index i, lg_index j) {
  lg_seti(L, 1, i);
  lg_seti(L, 1, j);
}

/* Is the value at stack index a before the one at b? Both are relative to the top. */
static int lg_sort_before(lua_State *L, int a, int b) {
  lg_poll(lg_state_of(L), L);
  lg_c_stack(L);
  if (lua_isnil(L, 2)) return lua_compare(L, a, b, LUA_OPLT);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, a - 1);
  lua_pushvalue(L, b - 2);
  lua_call(L, 2, 1);
  int before = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return before;
}

static int lg_sort_invalid(lua_State *L) { return luaL_error(L, "invalid order function for sorting"); }

/* Bring t[lo] <= t[mid] <= t[up] about. The elements are read and compared in stock's order: with an inconsistent order
 * function even that can be seen. 0 when the range is sorted then. */
static int lg_sort_three(lua_State *L, lg_index lo, lg_index mid, lg_index up) {
  lg_geti(L, 1, mid);
  lg_geti(L, 1, lo);
  if (lg_sort_before(L, -2, -1)) {
    lg_sort_set(L, mid, lo);
  } else {
    lua_pop(L, 1);
    lg_geti(L, 1, up);
    if (lg_sort_before(L, -1, -2))
      lg_sort_set(L, mid, up);
    else
      lua_pop(L, 2);
  }
  return up - lo != 2;
}

/* Order t[lo] and t[up]. */
static void lg_sort_ends(lua_State *L, lg_index lo, lg_index up) {
  lg_geti(L, 1, lo);
  lg_geti(L, 1, up);
  if (lg_sort_before(L, -1, -2))
    lg_sort_set(L, lo, up);
  else
    lua_pop(L, 2);
}

/* Put t[mid] aside at up - 1, leaving a copy on the stack: the pivot. */
static void lg_sort_pivot(lua_State *L, lg_index mid, lg_index up) {
  lg_geti(L, 1, mid);
  lua_pushvalue(L, -1);
  lg_geti(L, 1, up - 1);
  lg_sort_set(L, mid, up - 1);
}

/* Where the two scans of a partition have gone too far for a consistent order. */
#if LG_SORT_IS_NEW
#define LG_SORT_PAST_UP(i, up) ((i) == (up) - 1)
#define LG_SORT_PAST_LO(j, i, lo) ((j) < (i))
#elif LG_SORT_IS_LOOSE
#define LG_SORT_PAST_UP(i, up) ((i) > (up))
#define LG_SORT_PAST_LO(j, i, lo) ((j) < (lo))
#else
#define LG_SORT_PAST_UP(i, up) ((i) >= (up))
#define LG_SORT_PAST_LO(j, i, lo) ((j) <= (lo))
#endif

/* Split t[lo..up] around the pivot on top of the stack (popped); returns the pivot's final place. */
static lg_index lg_sort_split(lua_State *L, lg_index lo, lg_index up) {
  lg_index i = lo;
  lg_index j = up - 1;
  for (;;) {
    while (lg_geti(L, 1, ++i), lg_sort_before(L, -1, -2)) {
      if (LG_SORT_PAST_UP(i, up)) lg_sort_invalid(L);
      lua_pop(L, 1);
    }
    while (lg_geti(L, 1, --j), lg_sort_before(L, -3, -1)) {
      if (LG_SORT_PAST_LO(j, i, lo)) lg_sort_invalid(L);
      lua_pop(L, 1);
    }
    if (j < i) break;
    lg_sort_set(L, i, j);
  }
#if LG_SORT_IS_NEW
  lua_pop(L, 1);
  lg_sort_set(L, up - 1, i);
#else
  lua_pop(L, 3);
  lg_geti(L, 1, up - 1);
  lg_geti(L, 1, i);
  lg_sort_set(L, up - 1, i);
#endif
  return i;
}

#if LG_SORT_IS_NEW
/* A number no script knows in advance, against orders made to be slow. Where the host gave a seed, a script must see the same each
 * time, for the place of equal elements depends on it; a slow sort ends at the deadline then. */
static unsigned lg_sort_random(const struct lg_state *st) {
  const struct lg_seed *seed = &st->host.seed;
  if (seed->given) return (unsigned)(seed->bits ^ seed->bits >> 32) * 2654435761u + 1;
  return (unsigned)clock() + (unsigned)time(NULL) * 2654435761u;
}

static lg_index lg_sort_middle(lg_index lo, lg_index up, unsigned rnd) {
  if (up - lo < 100 || rnd == 0) return (lo + up) / 2;
  lg_index quarter = (up - lo) / 4;
  return (lg_index)rnd % (quarter * 2) + lo + quarter;
}
#endif

static void lg_sort_range(lua_State *L, lg_index lo, lg_index up, unsigned rnd) {
  while (lo < up) {
    lg_sort_ends(L, lo, up);
    if (up - lo == 1) return;
#if LG_SORT_IS_NEW
    lg_index mid = lg_sort_middle(lo, up, rnd);
#else
    lg_index mid = (int)(((unsigned)lo + (unsigned)up) / 2);
#endif
    if (!lg_sort_three(L, lo, mid, up)) return;
    lg_sort_pivot(L, mid, up);
    lg_index p = lg_sort_split(L, lo, up);
    lg_index smaller = 0;
    if (p - lo < up - p) {
      lg_sort_range(L, lo, p - 1, rnd);
      smaller = p - lo;
      lo = p + 1;
    } else {
      lg_sort_range(L, p + 1, up, rnd);
      smaller = up - p;
      up = p - 1;
    }
#if LG_SORT_IS_NEW
    if ((up - lo) / 128 > smaller) rnd = lg_sort_random(lg_state_of(L));
#else
    (void)smaller;
#endif
  }
}

#endif
