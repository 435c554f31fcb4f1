/* The allow-list of globals, and which of them a script's source mentions. Once per Lua version. */
#ifndef LG_MENTION_H
#define LG_MENTION_H

#include <ctype.h>
#include <string.h>

#include "poll.h"

static const char *const lg_globals[] = {
    "assert",       "error",        "ipairs",   "next",      "pairs",  "pcall",    "rawequal",
    "rawget",       "rawset",       "select",   "type",      "xpcall", "tonumber", "_VERSION",
    "getmetatable", "setmetatable", "tostring", "print",     "log",    "load",     "collectgarbage",
#if LG_LUA == 501
    "unpack",       "loadstring",
#else
    "rawlen",
#endif
    "math", /* at LG_GLOBAL_MATH */
    "string",       "table",        "os",       "coroutine",
#if LG_LUA == 502
    "bit32",
#endif
#if LG_LUA >= 503
    "utf8",
#endif
#if LG_JIT
    "bit",
#endif
    "io",           "loadfile",     "dofile",   "require", /* there when a prelude offers them */
    "context",
};

enum { LG_GLOBAL_COUNT = sizeof lg_globals / sizeof lg_globals[0], LG_GLOBAL_MATH = 21 + (LG_LUA == 501 ? 2 : 1) };
_Static_assert(LG_GLOBAL_COUNT <= 63, "one bit each");
#define LG_ALL_GLOBALS (((uint64_t)1 << LG_GLOBAL_COUNT) - 1)

static int lg_is_word(const char *s, size_t len, const char *word) {
  return word[0] == s[0] && strlen(word) == len && memcmp(word, s, len) == 0;
}

static int lg_global_index(const char *s, size_t len) {
  for (int i = 0; i < LG_GLOBAL_COUNT; i++) {
    if (lg_is_word(s, len, lg_globals[i])) return i;
  }
  return -1;
}

/* Words through which any name can be reached. */
static int lg_opens_everything(const char *s, size_t len) {
  static const char *const words[] = {"_G", "_ENV", "load", "loadstring", "loadfile", "dofile", "require"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (lg_is_word(s, len, words[i])) return 1;
  }
  return 0;
}

/* The globals a source mentions, one bit each. Words in strings and comments count too: that costs a little, never
 * correctness. Once the run is being ended the rest is not looked at: no code will be run. */
static uint64_t lg_mentioned(const struct lg_state *st, const char *s, size_t len) {
  uint64_t bits = 0;
  size_t i = 0;
  for (size_t steps = 0; i < len; steps++) {
    if (steps % LG_CHUNK == 0 && lg_is_interrupted(st)) break; /* a source may be white space and little else */
    if (!isalpha((unsigned char)s[i]) && s[i] != '_') {
      i++;
      continue;
    }
    if (lg_is_interrupted(st)) break;
    size_t start = i;
    while (i < len && (isalnum((unsigned char)s[i]) || s[i] == '_')) i++;
    if (lg_opens_everything(s + start, i - start)) return LG_ALL_GLOBALS;
    int g = lg_global_index(s + start, i - start);
    if (g >= 0) bits |= (uint64_t)1 << g;
  }
  return bits;
}

#endif
