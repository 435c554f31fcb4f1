/* The allow-list of globals, and which of them a script's source mentions. Once per Lua version. */
#ifndef LG_MENTION_H
#define LG_MENTION_H

#include <ctype.h>
#include <string.h>

#include "poll.h"

/* X(name, whether this Lua's runs may have it): the allow-list. */
/* clang-format off */
#define LG_GLOBALS(X) \
  X(assert, 1) X(error, 1) X(ipairs, 1) X(next, 1) X(pairs, 1) X(pcall, 1) X(rawequal, 1) X(rawget, 1) X(rawset, 1) \
  X(rawlen, LG_HAS_RAWLEN) X(select, 1) X(type, 1) X(xpcall, 1) X(tonumber, 1) X(tostring, 1) X(getmetatable, 1) \
  X(setmetatable, 1) X(collectgarbage, 1) X(print, 1) X(log, 1) X(load, 1) X(loadstring, LG_HAS_LOADSTRING) \
  X(unpack, LG_HAS_LOADSTRING) X(getfenv, LG_HAS_FENV) X(setfenv, LG_HAS_FENV) X(_VERSION, 1) \
  X(gcinfo, LG_HAS_GCINFO) X(warn, LG_HAS_WARN) \
  X(math, 1) X(string, 1) X(table, 1) X(os, 1) X(coroutine, 1) X(utf8, LG_HAS_UTF8) X(bit, LG_HAS_BIT) \
  X(bit32, LG_HAS_BIT32) \
  X(loadfile, 1) X(dofile, 1) /* there when the host has files */ \
  X(io, 1) X(debug, 1) X(package, 1) X(require, 1) X(module, LG_HAS_MODULE) /* made anew for each run */ \
  X(context, 1) /* the host's, and the last */
/* clang-format on */

#define LG_GLOBAL_INDEX(name, has) LG_GLOBAL_##name,
enum { LG_GLOBALS(LG_GLOBAL_INDEX) LG_GLOBAL_COUNT };
#undef LG_GLOBAL_INDEX

#define LG_GLOBAL_NAME(name, has) (has) ? #name : "",
static const char *const lg_globals[] = {LG_GLOBALS(LG_GLOBAL_NAME)};
#undef LG_GLOBAL_NAME

_Static_assert(LG_GLOBAL_COUNT <= 63, "one bit each");
_Static_assert(LG_GLOBAL_context == LG_GLOBAL_COUNT - 1, "it is made for each run");
#define LG_GLOBAL_BIT(name, has) | (uint64_t)(has) << LG_GLOBAL_##name
static const uint64_t lg_all_globals = 0 LG_GLOBALS(LG_GLOBAL_BIT);

/* What is not in a state's template: it is made when a run mentions it (own.h). */
#define LG_OWN_LIBRARIES ((uint64_t)0x1f << LG_GLOBAL_io & lg_all_globals)
_Static_assert(LG_GLOBAL_module == LG_GLOBAL_io + 4, "they stand together");

static int lg_is_word(const char *s, size_t len, const char *word) {
  return word[0] == s[0] && strlen(word) == len && memcmp(word, s, len) == 0;
}

static int lg_global_index(const char *s, size_t len) {
  for (int i = 0; i < LG_GLOBAL_COUNT; i++) {
    if (lg_is_word(s, len, lg_globals[i])) return i;
  }
  return -1;
}

/* Words through which any name can be reached. setfenv is none: what it gives a function for its globals, the script has
 * already. */
static int lg_opens_everything(const char *s, size_t len) {
  static const char *const words[] = {"_G",     "_ENV",    "load",    "loadstring", "loadfile",
                                      "dofile", "require", "package", "module",     LG_HAS_FENV ? "getfenv" : "_G"};
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
    if (lg_opens_everything(s + start, i - start)) return lg_all_globals;
    int g = lg_global_index(s + start, i - start);
    if (g >= 0) bits |= (uint64_t)1 << g;
  }
  return bits;
}

#endif
