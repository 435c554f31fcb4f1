/* The pattern matcher of the sandbox: the semantics and error messages of the Lua version at hand, with a deadline.
 * Compiled once per Lua version.
 *
 * Contract
 * - Only inside a protected call on the run's thread; every function may raise a Lua error, and raises the run's
 *   interrupt: each step costs one unit of `steps`, scans cost by their length, and at zero the interrupt is looked at.
 * - Subject and pattern are the caller's: Lua strings (a NUL follows the last byte) kept alive on its stack or as
 *   upvalues. Nothing is allocated.
 * - C stack: at most LG_MATCH_DEPTH nested calls of lg_m_run(). 5.2 and later and LuaJIT have the same limit and message;
 *   5.1 has none, so there it is set where only a pattern of more than a thousand repeated items meets it. */
#ifndef LG_STDLIB_MATCH_H
#define LG_STDLIB_MATCH_H

#include "../guard/cstack.h"
#include "match_state.h"

static const char *lg_m_run(struct lg_match *m, const char *s, const char *p);

/* After the single-character item at p (before its suffix). */
static inline const char *lg_m_item_end(struct lg_match *m, const char *p) {
  if (*p == '[') {
    struct lg_set *set = lg_m_slot(m, p);
    return set->p == p ? set->end : lg_m_set_end(m, set, p);
  }
  if (*p != '%') return p + 1;
  if (p + 1 == m->p_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
  return p + 2;
}

/* Does the item at p match the byte at s? */
static inline int lg_m_one(struct lg_match *m, const char *s, const char *p) {
  if (s >= m->end) return 0;
  unsigned char c = (unsigned char)*s;
  switch (*p) {
    case '.': return 1;
    case '%': return lg_in_class(c, (unsigned char)p[1]);
    case '[': return lg_m_in_set(m, c, p);
    default: return (unsigned char)*p == c;
  }
}

/* The first place from s up to `stop` whose byte the item at p does not match (want 1), or does match (want 0). */
static inline const char *lg_m_scan(struct lg_match *m, const char *s, const char *stop, const char *p, int want) {
  switch (*p) {
    case '.': return want ? stop : s;
    case '%': {
      unsigned mask = lg_class_mask[(unsigned char)p[1]];
      if (mask == 0) {
        while (s < stop && (*s == p[1]) == want) s++;
        return s;
      }
      int inside = LG_IS_COMPLEMENT(p[1]) ? !want : want;
      while (s < stop && ((lg_char_class[(unsigned char)*s] & mask) != 0) == inside) s++;
      return s;
    }
    case '[': {
      const struct lg_set *set = lg_m_set(m, p);
      while (s < stop && lg_in_set((unsigned char)*s, set) == want) s++;
      return s;
    }
    default:
      if (!want) {
        const char *at = memchr(s, *p, (size_t)(stop - s));
        return at != NULL ? at : stop;
      }
      while (s < stop && *s == *p) s++;
      return s;
  }
}

/* As lg_m_scan, up to the subject's end and paid for. */
static const char *lg_m_scan_all(struct lg_match *m, const char *s, const char *p, int want) {
  for (;;) {
    const char *stop = m->end - s > LG_M_CHUNK ? s + LG_M_CHUNK : m->end;
    const char *to = lg_m_scan(m, s, stop, p, want);
    lg_m_pay(m, to - s);
    if (to != stop || stop == m->end) return to;
    s = to;
  }
}

/* Beyond LG_MATCH_DEPTH_SURE levels. Not inlined: the common path is every step's. */
static LG_NOINLINE void lg_m_deep(struct lg_match *m) {
  if (m->depth > LG_MATCH_DEPTH) luaL_error(m->L, "pattern too complex");
  lg_c_stack(m->L);
}

static inline void lg_m_deeper(struct lg_match *m) {
  if (++m->depth > LG_MATCH_DEPTH_SURE) lg_m_deep(m);
}

/* The byte that a match of the pattern from p on must begin with; -1 when there is no such byte. */
static inline int lg_m_literal(const struct lg_match *m, const char *p) {
  if (p == m->p_end) return -1;
  switch (*p) {
    case '(':
    case ')':
    case '[':
    case '.':
    case '$': return -1;
    case '%':
      if ((lg_char_class[(unsigned char)*++p] & LG_C_PUNCT) == 0) return -1; /* also when the pattern ends here */
      break;
    default: break;
  }
  switch (p[1]) { /* at worst the NUL after the pattern */
    case '*':
    case '?':
    case '-': return -1;
    default: return (unsigned char)*p;
  }
}

/* The item has matched all of [s, to): give back one byte after the other until the rest of the pattern, p, matches. */
static const char *lg_m_longest(struct lg_match *m, const char *s, const char *to, const char *p) {
  if (m->depth == LG_MATCH_DEPTH) lg_m_deeper(m);
  if (p == m->p_end) return to;
  if (*p == '$' && p + 1 == m->p_end) return to == m->end ? to : NULL;
  int literal = lg_m_literal(m, p);
  for (;; to--) {
    if (literal < 0 || (to < m->end && (unsigned char)*to == literal)) {
      const char *e = lg_m_run(m, to, p);
      if (e != NULL) return e;
    } else {
      lg_m_step(m);
    }
    if (to == s) return NULL;
  }
}

/* Take as few bytes that the item at `item` matches as let the rest of the pattern, p, match. */
static const char *lg_m_shortest(struct lg_match *m, const char *s, const char *item, const char *p) {
  int literal = lg_m_literal(m, p);
  if (m->depth == LG_MATCH_DEPTH) lg_m_deeper(m);
  for (;; s++) {
    if (literal < 0 || (s < m->end && (unsigned char)*s == literal)) {
      const char *e = lg_m_run(m, s, p);
      if (e != NULL) return e;
    } else {
      lg_m_step(m);
    }
    if (!lg_m_one(m, s, item)) return NULL;
  }
}

/* A '(' at p. */
static const char *lg_m_capture(struct lg_match *m, const char *s, const char *p) {
  int is_position = p[1] == ')';
  if (m->level >= LG_M_CAPTURES) luaL_error(m->L, "too many captures");
  m->capture[m->level].at = s;
  m->capture[m->level].len = is_position ? LG_M_POSITION : LG_M_OPEN;
  m->level++;
  const char *e = lg_m_run(m, s, is_position ? p + 2 : p + 1);
  if (e == NULL) m->level--;
  return e;
}

/* A ')' before p. */
static const char *lg_m_close(struct lg_match *m, const char *s, const char *p) {
  int i = m->level - 1;
  while (i >= 0 && m->capture[i].len != LG_M_OPEN) i--;
  if (i < 0) luaL_error(m->L, "invalid pattern capture");
  m->capture[i].len = s - m->capture[i].at;
  const char *e = lg_m_run(m, s, p);
  if (e == NULL) m->capture[i].len = LG_M_OPEN;
  return e;
}

/* A "%1" and the like; digit is '0' to '9'. */
static const char *lg_m_backreference(struct lg_match *m, const char *s, char digit) {
  int i = digit - '1';
  if (i < 0 || i >= m->level || m->capture[i].len == LG_M_OPEN) {
#if LG_BACKREFS_ARE_NAMED
    luaL_error(m->L, "invalid capture index %%%d", i + 1);
#else
    luaL_error(m->L, "invalid capture index");
#endif
  }
  ptrdiff_t len = m->capture[i].len;
  if (len < 0 || len > m->end - s) return NULL; /* a position never matches */
  lg_m_pay(m, len >> 2);
  return lg_equal(m->L, m->capture[i].at, s, (size_t)len) ? s + len : NULL;
}

/* A "%b" before p. */
static const char *lg_m_balance(struct lg_match *m, const char *s, const char *p) {
  if (m->p_end - p < 2) luaL_error(m->L, LG_TEXT_NO_BALANCE);
  char opens = p[0], closes = p[1];
  if (*s != opens) return NULL;
  size_t open = 1;
  for (const char *from = ++s; s < m->end; from = s) {
    const char *stop = m->end - s > LG_M_CHUNK ? s + LG_M_CHUNK : m->end;
    for (; s < stop; s++) {
      if (*s == closes) {
        if (--open == 0) {
          lg_m_pay(m, s - from);
          return s + 1;
        }
      } else if (*s == opens) {
        open++;
      }
    }
    lg_m_pay(m, s - from);
  }
  return NULL;
}

/* A "%f" before p: after its set when s is at such a frontier, else NULL. */
static const char *lg_m_frontier(struct lg_match *m, const char *s, const char *p) {
  if (*p != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
  const struct lg_set *set = lg_m_set(m, p);
  unsigned char before = s == m->begin ? 0 : (unsigned char)s[-1];
  if (lg_in_set(before, set) || !lg_in_set((unsigned char)*s, set)) return NULL; /* at the end *s is the NUL */
  return set->end;
}

/* A single-character item at *p. Either it is dealt with by moving on: *p is set and the new s returned; or the rest of
 * the pattern was tried from here: *p is NULL and the result, or NULL, is returned. */
static inline const char *lg_m_item(struct lg_match *m, const char *s, const char **p) {
  const char *item = *p;
  const char *ep = lg_m_item_end(m, item);
  const char *e;
  switch (*ep) {
    case '?':
      if (lg_m_one(m, s, item) && (e = lg_m_run(m, s + 1, ep + 1)) != NULL) {
        *p = NULL;
        return e;
      }
      *p = ep + 1;
      return s;
    case '+':
      *p = NULL;
      if (!lg_m_one(m, s, item)) return NULL;
      return lg_m_longest(m, s + 1, lg_m_scan_all(m, s + 1, item, 1), ep + 1);
    case '*':
    case '-':
      if (!lg_m_one(m, s, item)) {
        if (LG_MATCH_COUNTS_SKIPS) lg_m_deeper(m); /* LuaJIT counts a level here too; lg_m_run() takes it back */
        *p = ep + 1;
        return s;
      }
      *p = NULL;
      if (*ep == '-') return lg_m_shortest(m, s, item, ep + 1);
      return lg_m_longest(m, s, lg_m_scan_all(m, s + 1, item, 1), ep + 1);
    default:
      *p = ep;
      if (lg_m_one(m, s, item)) return s + 1;
      *p = NULL;
      return NULL;
  }
}

/* Match the pattern from p on at s: the end of the match, or NULL. */
static const char *lg_m_run(struct lg_match *m, const char *s, const char *p) {
  int depth = m->depth;
  lg_m_deeper(m);
  while (p != NULL && p != m->p_end) {
    lg_m_step(m);
    switch (*p) {
      case '(':
        s = lg_m_capture(m, s, p);
        p = NULL;
        continue;
      case ')':
        s = lg_m_close(m, s, p + 1);
        p = NULL;
        continue;
      case '$':
        if (p + 1 != m->p_end) break;
        if (s != m->end) s = NULL;
        p = NULL;
        continue;
      case '%':
        if (p[1] == 'b') {
          s = lg_m_balance(m, s, p + 2);
          p = s == NULL ? NULL : p + 4;
          continue;
        }
        if (p[1] == 'f') {
          p = lg_m_frontier(m, s, p + 2);
          if (p == NULL) s = NULL;
          continue;
        }
        if (p[1] >= '0' && p[1] <= '9') {
          s = lg_m_backreference(m, s, p[1]);
          p = s == NULL ? NULL : p + 2;
          continue;
        }
        break;
      default: break;
    }
    s = lg_m_item(m, s, &p);
  }
  m->depth = depth;
  return s;
}

/* Match the pattern at s only. */
static const char *lg_m_try(struct lg_match *m, const char *s) {
  m->level = 0;
  m->depth = 0; /* an error may have left it anywhere */
  lg_m_step(m); /* an empty pattern takes no other */
  return lg_m_run(m, s, m->p);
}

/* The single-character item that every match of the pattern must begin with, or NULL where there is none such. Raises
 * only what an attempt to match anywhere would raise. */
static const char *lg_m_find_lead(struct lg_match *m) {
  const char *p = m->p;
  for (int i = 0; i < 8 && p != m->p_end && *p == '(' && p[1] != ')'; i++) p++;
  if (p == m->p_end || *p == '(' || *p == ')' || *p == '$') return NULL;
  if (*p == '%' && p[1] == 'b') { /* what it opens with, where that stands for itself as an item too */
    return m->p_end - p < 4 || p[2] == '.' || p[2] == '%' || p[2] == '[' ? NULL : p + 2;
  }
  if (*p == '%' && (p[1] == 'f' || (p[1] >= '0' && p[1] <= '9'))) return NULL;
  char suffix = *lg_m_item_end(m, p);
  return suffix == '*' || suffix == '?' || suffix == '-' ? NULL : p;
}

/* The first match at *at or after it that does not end at `not_at` (NULL: any): *at is set to where it begins, and its
 * end is returned. NULL when there is none. */
static const char *lg_m_search(struct lg_match *m, const char **at, const char *not_at) {
  for (const char *s = *at;; s++) {
    if (m->lead != NULL) {
      s = lg_m_scan_all(m, s, m->lead, 0);
      if (s == m->end) return NULL;
    }
    const char *e = lg_m_try(m, s);
    if (e != NULL && e != not_at) {
      *at = s;
      return e;
    }
    if (s == m->end) return NULL;
    if (!m->lead_known) { /* not before an attempt has failed: many succeed at once */
      m->lead = lg_m_find_lead(m);
      m->lead_known = 1;
    }
  }
}

#endif
