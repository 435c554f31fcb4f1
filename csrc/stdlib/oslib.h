/* The os library of the sandbox: time, and the environment the host chose. Compiled once per Lua version; include after
 * strbuf.h.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. clock and
 * difftime are the stock functions (each does a bounded piece of work); date and time are written anew, because their
 * work grows with a format and with numerals that the script makes; getenv sees only struct lg_state's pairs, never the
 * process; setlocale changes nothing. Where the host gave a clock (guard/host.h), time and date read that one, and clock is
 * written anew too. */
#ifndef LG_STDLIB_OSLIB_H
#define LG_STDLIB_OSLIB_H

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "../guard/host_call.h"
#include "args.h"
#include "strbuf.h"

enum { LG_DATE_ITEM = 256 }; /* what one conversion gives at most; longer ones give nothing */

static int lg_os_getenv(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  const char *name = luaL_checkstring(L, 1);
  for (int i = 0; i < st->host.environ_count; i++) {
    if (strcmp(st->host.environ_pairs[2 * i], name) != 0) continue;
    (void)lua_pushstring(L, st->host.environ_pairs[2 * i + 1]);
    return 1;
  }
  lua_pushnil(L);
  return 1;
}

/* A run begins that may read the clock. */
static void lg_clock_begin(struct lg_state *st) { st->host.clock.begun = 0; }

static int lg_clock_is_given(const struct lg_state *st) {
  return st->host.clock.frozen || st->host.clock_function != 0;
}

/* Seconds since the epoch by the clock that the host gave. Raises what its function raises. */
static double lg_clock_read(lua_State *L, struct lg_state *st) {
  struct lg_clock *clock = &st->host.clock;
  double now = clock->seconds;
  if (st->host.clock_function != 0) {
    lg_host_ask(L, st, st->host.clock_function, 0, NULL, 0);
    const struct lg_buf *result = &st->host.result;
    if (result->len != 1 + sizeof now || result->data[0] != LG_W_FLOAT) luaL_error(L, "the clock gave no number");
    memcpy(&now, result->data + 1, sizeof now);
  }
  if (!clock->begun) clock->origin = now;
  clock->begun = 1;
  return now;
}

/* The whole seconds of now. */
static time_t lg_os_now(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  return lg_clock_is_given(st) ? (time_t)floor(lg_clock_read(L, st)) : time(NULL);
}

/* os.clock by a clock that was given: what has passed on it since the run first read it. */
static int lg_os_clock(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  double now = lg_clock_read(L, st);
  lua_pushnumber(L, (lua_Number)(now - st->host.clock.origin));
  return 1;
}

/* The calendar of a moment. 0, or -1 when the C library cannot express it. Thread-safe. */
static int lg_calendar(time_t when, int utc, struct tm *out) {
#ifdef _WIN32
  return (utc ? gmtime_s(out, &when) : localtime_s(out, &when)) == 0 ? 0 : -1;
#else
  return (utc ? gmtime_r(&when, out) : localtime_r(&when, out)) != NULL ? 0 : -1;
#endif
}

/* The moment given as argument 2, else now. */
static time_t lg_date_argument(lua_State *L) {
  if (lua_isnoneornil(L, 2)) return lg_os_now(L);
#if LG_HAS_INTEGERS
  lua_Integer t = luaL_checkinteger(L, 2);
  luaL_argcheck(L, (lua_Integer)(time_t)t == t, 2, "time out-of-bounds");
  return (time_t)t;
#else
  return (time_t)lg_clip_i64(luaL_checknumber(L, 2));
#endif
}

static void lg_date_field(lua_State *L, const char *key, int value, int plus) {
  lua_pushinteger(L, (lua_Integer)value + plus);
  lua_setfield(L, -2, key);
}

/* Set the fields of a calendar in the table on top, in the version's order (which pairs() may show). */
static void lg_date_fields(lua_State *L, const struct tm *tm) {
#if LG_DATE_YEAR_FIRST
  lg_date_field(L, "year", tm->tm_year, 1900);
  lg_date_field(L, "month", tm->tm_mon, 1);
  lg_date_field(L, "day", tm->tm_mday, 0);
  lg_date_field(L, "hour", tm->tm_hour, 0);
  lg_date_field(L, "min", tm->tm_min, 0);
  lg_date_field(L, "sec", tm->tm_sec, 0);
  lg_date_field(L, "yday", tm->tm_yday, 1);
  lg_date_field(L, "wday", tm->tm_wday, 1);
#else
  lg_date_field(L, "sec", tm->tm_sec, 0);
  lg_date_field(L, "min", tm->tm_min, 0);
  lg_date_field(L, "hour", tm->tm_hour, 0);
  lg_date_field(L, "day", tm->tm_mday, 0);
  lg_date_field(L, "month", tm->tm_mon, 1);
  lg_date_field(L, "year", tm->tm_year, 1900);
  lg_date_field(L, "wday", tm->tm_wday, 1);
  lg_date_field(L, "yday", tm->tm_yday, 1);
#endif
  if (tm->tm_isdst >= 0) {
    lua_pushboolean(L, tm->tm_isdst);
    lua_setfield(L, -2, "isdst");
  }
}

/* Read an integer field of the table on top, less `minus`; def (negative: none) when it is absent. */
static int lg_time_field(lua_State *L, const char *key, int def, int minus) {
  lg_poll(lg_state_of(L), L); /* a field may be a numeral of any length */
  int isnum = 0;
  (void)lua_getfield(L, -1, key);
#if LG_HAS_INTEGERS
  lua_Integer v = lua_tointegerx(L, -1, &isnum);
  if (!isnum && !lua_isnil(L, -1)) luaL_error(L, "field '%s' is not an integer", key);
  int fits = LG_DATE_FIELD_IS_HALF ? -(INT_MAX / 2) <= v && v <= INT_MAX / 2
                                   : (v >= 0 ? v - minus <= INT_MAX : INT_MIN + minus <= v);
  if (isnum && !fits) luaL_error(L, "field '%s' is out-of-bound", key);
#else
  isnum = lua_isnumber(L, -1);
  lua_Integer v = isnum ? lua_tointeger(L, -1) : 0;
#endif
  lua_pop(L, 1);
  if (isnum) return (int)((unsigned)v - (unsigned)minus);
  if (def < 0) luaL_error(L, "field '%s' missing in date table", key);
  return def; /* only fields that begin at 0 have one */
}

/* Read the calendar in the table on top, in the version's order (which its __index may see). */
static void lg_time_fields(lua_State *L, struct tm *tm) {
#if LG_DATE_YEAR_FIRST
  tm->tm_year = lg_time_field(L, "year", -1, 1900);
  tm->tm_mon = lg_time_field(L, "month", -1, 1);
  tm->tm_mday = lg_time_field(L, "day", -1, 0);
  tm->tm_hour = lg_time_field(L, "hour", 12, 0);
  tm->tm_min = lg_time_field(L, "min", 0, 0);
  tm->tm_sec = lg_time_field(L, "sec", 0, 0);
#else
  tm->tm_sec = lg_time_field(L, "sec", 0, 0);
  tm->tm_min = lg_time_field(L, "min", 0, 0);
  tm->tm_hour = lg_time_field(L, "hour", 12, 0);
  tm->tm_mday = lg_time_field(L, "day", -1, 0);
  tm->tm_mon = lg_time_field(L, "month", -1, 1);
  tm->tm_year = lg_time_field(L, "year", -1, 1900);
#endif
  (void)lua_getfield(L, -1, "isdst");
  tm->tm_isdst = lua_isnil(L, -1) ? -1 : lua_toboolean(L, -1);
  lua_pop(L, 1);
}

static int lg_os_time(lua_State *L) {
  time_t t;
  int is_sure = 0; /* -1 is a moment too */
  if (lua_isnoneornil(L, 1)) {
    is_sure = lg_clock_is_given(lg_state_of(L));
    t = lg_os_now(L);
  } else {
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lg_time_fields(L, &tm);
    t = mktime(&tm);
    if (LG_TIME_NORMALIZES) lg_date_fields(L, &tm); /* as mktime() has made them proper */
  }
#if LG_DATE_RAISES
  if (t == (time_t)-1 && !is_sure) return luaL_error(L, "time result cannot be represented in this installation");
  lua_pushinteger(L, (lua_Integer)t);
#else
  if (t == (time_t)-1 && !is_sure)
    lua_pushnil(L);
  else
    lua_pushnumber(L, (lua_Number)t);
#endif
  return 1;
}

/* Windows' strftime() ends the process for what it does not know. */
#ifdef _WIN32
#define LG_DATE_PLAIN "aAbBcdHIjmMpSUwWxXyYzZ%"
#define LG_DATE_MODIFIED(p) ((p)[0] == '#' && (p)[1] != '\0' && strchr("cxdHIjmMSUwWyY", (p)[1]) != NULL)
#elif LG_DATE_HAS_C99
#define LG_DATE_PLAIN "aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%"
#elif LG_DATE_CHECKS
#define LG_DATE_PLAIN "aAbBcdHIjmMpSUwWxXyYz%"
#endif
#ifndef _WIN32
#define LG_DATE_MODIFIED(p)                                                                                            \
  ((p)[1] != '\0' && (((p)[0] == 'E' && strchr("cCxXyY", (p)[1]) != NULL) ||                                           \
                      ((p)[0] == 'O' && strchr("deHImMSuUVwWy", (p)[1]) != NULL)))
#endif

/* Copy one conversion from p (behind its '%') into `item`, NUL-terminated; the result is what follows it.
 * LuaJIT 2.1 hands the whole format to the C library, and so takes flags and widths (two digits at most here). 5.1 takes
 * any character; E and O alone, and a final '%', stand for themselves, because on some C libraries they end the
 * process. */
static const char *lg_date_conversion(lua_State *L, const char *p, const char *end, char item[8]) {
#if LG_DATE_CHECKS
  size_t left = (size_t)(end - p);
  size_t n = LG_DATE_HAS_C99 && left >= 2 && LG_DATE_MODIFIED(p) ? 2 : 1;
  if (left == 0 || *p == '\0' || (n == 1 && strchr(LG_DATE_PLAIN, *p) == NULL))
    luaL_argerror(L, 1, lua_pushfstring(L, "invalid conversion specifier '%%%s'", p));
#elif defined(_WIN32)
  (void)L;
  size_t n = end - p >= 2 && LG_DATE_MODIFIED(p) ? 2 : 1;
  if (p == end || *p == '\0' || (n == 1 && strchr(LG_DATE_PLAIN, *p) == NULL)) {
    item[0] = '\0';
    return p;
  }
#else
  (void)L;
  const char *start = p;
#if LG_DATE_TAKES_WIDTHS
  if (p < end && strchr("-_0^#", *p) != NULL) p++;
  for (int i = 0; i < 2 && p < end && isdigit((unsigned char)*p); i++) p++;
  if (p + 1 < end && (*p == 'E' || *p == 'O')) p++;
#endif
  if (p == start && (p == end || !isprint((unsigned char)*p) || *p == 'E' || *p == 'O')) {
    item[0] = '\0';
    return start;
  }
  size_t n = (size_t)(p - start) + (p < end); /* a width without a conversion is the C library's too */
  p = start;
#endif
  item[0] = '%';
  memcpy(item + 1, p, n);
  item[n + 1] = '\0';
  return p + n;
}

/* Append the text of `format`. */
static void lg_date_text(lua_State *L, struct lg_strbuf *b, const char *p, const char *end, const struct tm *tm) {
  struct lg_state *st = lg_state_of(L);
  while (p < end) {
    lg_poll(st, L);
    const char *mark = memchr(p, '%', (size_t)(end - p));
    lg_sb_add(b, p, (size_t)((mark != NULL ? mark : end) - p));
    if (mark == NULL) break;
    char item[8];
    p = lg_date_conversion(L, mark + 1, end, item);
    if (item[0] == '\0') {
      lg_sb_addchar(b, '%');
      continue;
    }
    size_t n = strftime(lg_sb_reserve(b, LG_DATE_ITEM), LG_DATE_ITEM, item, tm);
    lg_sb_added(b, n);
  }
}

static int lg_os_date(lua_State *L) {
  size_t len;
  const char *p = luaL_optlstring(L, 1, "%c", &len);
  const char *end = p + (LG_DATE_ENDS_AT_NUL ? strlen(p) : len);
  time_t when = lg_date_argument(L);
  int utc = *p == '!';
  if (utc) p++;
  struct tm tm;
  memset(&tm, 0, sizeof tm);
  if (lg_calendar(when, utc, &tm) != 0) {
#if LG_DATE_RAISES
    return luaL_error(L, "%s result cannot be represented in this installation", LG_TEXT_DATE_BEYOND);
#else
    lua_pushnil(L);
    return 1;
#endif
  }
  if (strcmp(p, "*t") == 0) {
    lua_createtable(L, 0, 9);
    lg_date_fields(L, &tm);
    return 1;
  }
  struct lg_strbuf b;
  lg_sb_init(L, &b);
  lg_date_text(L, &b, p, end, &tm);
  lg_sb_push(&b);
  return 1;
}

/* os.setlocale: the locale belongs to the process. A script that asks is told "C", one that wants another has none. */
static int lg_os_setlocale(lua_State *L) {
  static const char *const categories[] = {"all", "collate", "ctype", "monetary", "numeric", "time", NULL};
  const char *name = luaL_optlstring(L, 1, "", NULL);
  (void)luaL_checkoption(L, 2, "all", categories);
  if (*name == '\0' || strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0)
    (void)lua_pushliteral(L, "C");
  else
    lua_pushnil(L);
  return 1;
}

/* Push the os library. */
static void lg_open_os(lua_State *L) {
  static const struct lg_reg list[] = {
      {"clock", NULL},          {"date", lg_os_date},           {"difftime", NULL},
      {"getenv", lg_os_getenv}, {"setlocale", lg_os_setlocale}, {"time", lg_os_time},
  };
  lg_lib_new(L, luaopen_os, "os", list, sizeof list / sizeof list[0]);
  if (!lg_clock_is_given(lg_state_of(L))) return;
  lua_pushcfunction(L, lg_os_clock);
  lua_setfield(L, -2, "clock");
}

#endif
