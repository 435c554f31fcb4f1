/* Character classes of patterns, and sets ("[...]") made ready for use. Compiled once per Lua version.
 *
 * Contract: pure; no call here raises or touches Lua. Classes are those of the C locale, whatever the process's locale
 * is (in UTF-8 locales glibc's are the same): a script's results do not depend on its host's environment. */
#ifndef LG_STDLIB_MATCH_CLASS_H
#define LG_STDLIB_MATCH_CLASS_H

#include <stdint.h>
#include <string.h>

enum {
  LG_C_ALPHA = 1,
  LG_C_CNTRL = 2,
  LG_C_DIGIT = 4,
  LG_C_GRAPH = 8,
  LG_C_LOWER = 16,
  LG_C_PUNCT = 32,
  LG_C_SPACE = 64,
  LG_C_UPPER = 128,
  LG_C_ALNUM = 256,
  LG_C_XDIGIT = 512,
  LG_C_NUL = 1024
};

/* clang-format off */
#define LG_T_CT LG_C_CNTRL
#define LG_T_CS (LG_C_CNTRL | LG_C_SPACE)
#define LG_T_PU (LG_C_PUNCT | LG_C_GRAPH)
#define LG_T_DI (LG_C_DIGIT | LG_C_ALNUM | LG_C_XDIGIT | LG_C_GRAPH)
#define LG_T_UP (LG_C_UPPER | LG_C_ALPHA | LG_C_ALNUM | LG_C_GRAPH)
#define LG_T_UX (LG_T_UP | LG_C_XDIGIT)
#define LG_T_LO (LG_C_LOWER | LG_C_ALPHA | LG_C_ALNUM | LG_C_GRAPH)
#define LG_T_LX (LG_T_LO | LG_C_XDIGIT)
#define LG_T_8(x) x, x, x, x, x, x, x, x

/* What each byte is; bytes from 128 on are nothing. */
static const uint16_t lg_char_class[256] = {
  LG_T_CT | LG_C_NUL, LG_T_CT, LG_T_CT, LG_T_CT, LG_T_CT, LG_T_CT, LG_T_CT, LG_T_CT,
  LG_T_CT, LG_T_CS, LG_T_CS, LG_T_CS, LG_T_CS, LG_T_CS, LG_T_CT, LG_T_CT,
  LG_T_8(LG_T_CT), LG_T_8(LG_T_CT),
  LG_C_SPACE, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_8(LG_T_PU),
  LG_T_8(LG_T_DI), LG_T_DI, LG_T_DI, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_PU,
  LG_T_PU, LG_T_UX, LG_T_UX, LG_T_UX, LG_T_UX, LG_T_UX, LG_T_UX, LG_T_UP, LG_T_8(LG_T_UP),
  LG_T_8(LG_T_UP), LG_T_UP, LG_T_UP, LG_T_UP, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_PU,
  LG_T_PU, LG_T_LX, LG_T_LX, LG_T_LX, LG_T_LX, LG_T_LX, LG_T_LX, LG_T_LO, LG_T_8(LG_T_LO),
  LG_T_8(LG_T_LO), LG_T_LO, LG_T_LO, LG_T_LO, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_PU, LG_T_CT
};

#if LG_HAS_CLASS_G
#define LG_T_G ['g'] = LG_C_GRAPH, ['G'] = LG_C_GRAPH,
#else
#define LG_T_G
#endif

/* The class that a letter after '%' names; 0: the byte stands for itself. The upper-case letter is the complement. */
static const uint16_t lg_class_mask[256] = {
  ['a'] = LG_C_ALPHA, ['A'] = LG_C_ALPHA, ['c'] = LG_C_CNTRL, ['C'] = LG_C_CNTRL, ['d'] = LG_C_DIGIT, ['D'] = LG_C_DIGIT,
  LG_T_G ['l'] = LG_C_LOWER, ['L'] = LG_C_LOWER, ['p'] = LG_C_PUNCT, ['P'] = LG_C_PUNCT, ['s'] = LG_C_SPACE,
  ['S'] = LG_C_SPACE, ['u'] = LG_C_UPPER, ['U'] = LG_C_UPPER, ['w'] = LG_C_ALNUM, ['W'] = LG_C_ALNUM,
  ['x'] = LG_C_XDIGIT, ['X'] = LG_C_XDIGIT, ['z'] = LG_C_NUL, ['Z'] = LG_C_NUL
};
/* clang-format on */

#define LG_IS_COMPLEMENT(letter) (((letter) & 0x20) == 0)

/* Does byte c belong to what '%' followed by `letter` stands for? */
static inline int lg_in_class(unsigned char c, unsigned char letter) {
  unsigned mask = lg_class_mask[letter];
  if (mask == 0) return letter == c;
  return ((lg_char_class[c] & mask) != 0) != LG_IS_COMPLEMENT(letter);
}

/* How much of a set is known. */
enum { LG_SET_ENDS, LG_SET_TRIED, LG_SET_MADE };

/* A set: single bytes and ranges as bits, classes as masks. */
struct lg_set {
  const char *p;   /* the '[' in the pattern; NULL: nothing here yet */
  const char *end; /* after the ']' */
  uint32_t bits[8];
  uint16_t classes;     /* members: bytes in any of these classes, */
  uint16_t complements; /* and bytes that lack any of these */
  uint8_t invert;       /* the set began with '^' */
  uint8_t state;        /* LG_SET_...: all but p and end have a meaning once it is made */
};

static inline int lg_in_set(unsigned char c, const struct lg_set *set) {
  unsigned is = lg_char_class[c];
  unsigned named = (is & set->classes) | (~is & set->complements);
  unsigned bit = (set->bits[c >> 5] >> (c & 31)) & 1U;
  return (bit != 0 || named != 0) != (set->invert != 0);
}

static inline void lg_set_add(struct lg_set *set, unsigned char c) { set->bits[c >> 5] |= (uint32_t)1 << (c & 31); }

/* Add the bytes from lo to hi; none when lo > hi. */
static inline void lg_set_add_range(struct lg_set *set, unsigned char lo, unsigned char hi) {
  if (lo > hi) return;
  unsigned first = lo >> 5, last = hi >> 5;
  for (unsigned w = first; w <= last; w++) {
    uint32_t word = UINT32_MAX;
    if (w == first) word &= UINT32_MAX << (lo & 31);
    if (w == last) word &= UINT32_MAX >> (31 - (hi & 31));
    set->bits[w] |= word;
  }
}

static inline void lg_set_add_class(struct lg_set *set, unsigned char letter) {
  uint16_t mask = lg_class_mask[letter];
  if (mask == 0)
    lg_set_add(set, letter);
  else if (LG_IS_COMPLEMENT(letter))
    set->complements |= mask;
  else
    set->classes |= mask;
}

/* Read at most `most` members of the set whose text goes on at p and whose ']' is at `last`. The position to go on from;
 * `last` or beyond when the set is complete. */
static const char *lg_set_read(struct lg_set *set, const char *p, const char *last, int most) {
  for (; p < last && most > 0; most--) {
    if (*p == '%') { /* the byte after it counts even where it is the final ']': "[a-%%]" reads so in every version */
      lg_set_add_class(set, (unsigned char)p[1]);
      p += 2;
    } else if (p[1] == '-' && p + 2 < last) {
      lg_set_add_range(set, (unsigned char)p[0], (unsigned char)p[2]);
      p += 3;
    } else {
      lg_set_add(set, (unsigned char)*p);
      p++;
    }
  }
  return p;
}

/* Does byte c belong to the set whose text, after the '[', begins at p and whose ']' is at `last`? What a set that is
 * asked only once is good for. */
static int lg_in_set_text(unsigned char c, const char *p, const char *last) {
  int found = 1;
  if (*p == '^') {
    found = 0;
    p++;
  }
  while (p < last) {
    if (*p == '%') {
      if (lg_in_class(c, (unsigned char)p[1])) return found;
      p += 2;
    } else if (p[1] == '-' && p + 2 < last) {
      if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2]) return found;
      p += 3;
    } else if ((unsigned char)*p++ == c) {
      return found;
    }
  }
  return !found;
}

#endif
