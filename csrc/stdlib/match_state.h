/* The state of one pattern match under way: subject, pattern, captures, the pattern's sets, and the price of every step.
 * Compiled once per Lua version; part of match.h, whose contract it shares. */
#ifndef LG_STDLIB_MATCH_STATE_H
#define LG_STDLIB_MATCH_STATE_H

#include "match_class.h"
#include "../guard/poll.h"

#define LG_M_CAPTURES 32
#define LG_M_SETS 4                     /* sets of one pattern held ready */
#define LG_M_STEPS 1000                 /* between two looks at the interrupt: some microseconds */
#define LG_M_CHUNK ((ptrdiff_t)1 << 14) /* bytes scanned at a stretch */
#define LG_M_PIECE ((size_t)1 << 18)    /* bytes that memchr or memcmp go over at a stretch: some ten microseconds */
#define LG_M_OPEN (-1)                  /* length of a capture not closed yet */
#define LG_M_POSITION (-2)              /* of a position capture */

struct lg_match {
  const char *begin; /* subject */
  const char *end;
  const char *p; /* pattern, after the anchor */
  const char *p_end;
  lua_State *L;
  int steps; /* left until the next look at the interrupt */
  int depth;
  int level; /* captures begun */
  int lead_known;
  const char *lead; /* see lg_m_find_lead() */
  struct {
    const char *at;
    ptrdiff_t len;
  } capture[LG_M_CAPTURES];
  struct lg_set sets[LG_M_SETS];
};

/* Look at the interrupt. Finding the state costs a call, so no more often than the work is worth. */
static void lg_look(lua_State *L) { lg_poll(lg_state_of(L), L); }

/* Compare n bytes, which may be many megabytes. */
static int lg_equal(lua_State *L, const char *a, const char *b, size_t n) {
  for (; n > LG_M_PIECE; n -= LG_M_PIECE, a += LG_M_PIECE, b += LG_M_PIECE) {
    lg_look(L);
    if (memcmp(a, b, LG_M_PIECE) != 0) return 0;
  }
  return memcmp(a, b, n) == 0;
}

/* How many of p's len bytes come before the first NUL. */
static size_t lg_until_nul(lua_State *L, const char *p, size_t len) {
  const char *nul = lg_find_byte(L, p, len, '\0');
  return nul == NULL ? len : (size_t)(nul - p);
}

static void lg_m_init(struct lg_match *m, lua_State *L, const char *s, size_t s_len, const char *p, size_t p_len) {
  m->begin = s;
  m->end = s + s_len;
  m->p = p;
  m->p_end = p + (LG_PATTERN_ENDS_AT_NUL ? lg_until_nul(L, p, p_len) : p_len);
  m->L = L;
  m->steps = LG_M_STEPS;
  m->lead_known = 0;
  m->lead = NULL;
  for (int i = 0; i < LG_M_SETS; i++) m->sets[i].p = NULL;
}

static void lg_m_look(struct lg_match *m) {
  m->steps = LG_M_STEPS;
  lg_look(m->L);
}

static inline void lg_m_step(struct lg_match *m) {
  if (--m->steps < 0) lg_m_look(m);
}

/* Pay for a scan over n bytes. */
static inline void lg_m_pay(struct lg_match *m, ptrdiff_t n) {
  m->steps -= n > LG_M_CHUNK ? (int)(LG_M_CHUNK >> 4) : (int)(n >> 4);
  if (m->steps < 0) lg_m_look(m);
}

/* Find the end of the set that begins at p, and keep it in the slot. */
static const char *lg_m_set_end(struct lg_match *m, struct lg_set *set, const char *p) {
  const char *const p_end = m->p_end;
  const char *from = p, *at = p + 1;
  const char *stop = p_end - p > LG_M_CHUNK ? p + LG_M_CHUNK : p_end;
  if (*at == '^') at++; /* a NUL where the pattern ends here */
  do {                  /* a ']' that comes first is a member */
    if (at >= stop) {
      if (at == p_end) luaL_error(m->L, "malformed pattern (missing ']')");
      lg_m_pay(m, 2 * (at - from));
      from = at;
      stop = p_end - at > LG_M_CHUNK ? at + LG_M_CHUNK : p_end;
    }
    if (*at++ == '%' && at < p_end) at++;
  } while (*at != ']');
  lg_m_pay(m, 2 * (at - from)); /* for making or trying it, too */
  set->p = p;
  set->end = at + 1;
  set->state = LG_SET_ENDS;
  return at + 1;
}

static inline struct lg_set *lg_m_slot(struct lg_match *m, const char *p) {
  return &m->sets[(size_t)(p - m->p) % LG_M_SETS];
}

static const struct lg_set *lg_m_set_make(struct lg_match *m, struct lg_set *set, const char *p) {
  if (set->p != p) (void)lg_m_set_end(m, set, p);
  const char *member = p + 1, *last = set->end - 1;
  memset(set->bits, 0, sizeof set->bits);
  set->state = LG_SET_ENDS; /* an interrupt may leave it half made */
  set->classes = 0;
  set->complements = 0;
  set->invert = *member == '^';
  if (set->invert) member++;
  for (;;) {
    member = lg_set_read(set, member, last, 4096);
    if (member >= last) break;
    lg_m_pay(m, LG_M_CHUNK);
  }
  set->state = LG_SET_MADE;
  return set;
}

/* The set that begins at p, ready for use. */
static inline const struct lg_set *lg_m_set(struct lg_match *m, const char *p) {
  struct lg_set *set = lg_m_slot(m, p);
  return set->p == p && set->state == LG_SET_MADE ? set : lg_m_set_make(m, set, p);
}

/* Does c belong to the set that begins at p, which is not made? The first question is answered from the text. */
static int lg_m_in_new_set(struct lg_match *m, struct lg_set *set, unsigned char c, const char *p) {
  if (set->p == p && set->state == LG_SET_ENDS && set->end - p <= 32) {
    set->state = LG_SET_TRIED;
    return lg_in_set_text(c, p + 1, set->end - 1);
  }
  return lg_in_set(c, lg_m_set_make(m, set, p));
}

static inline int lg_m_in_set(struct lg_match *m, unsigned char c, const char *p) {
  struct lg_set *set = lg_m_slot(m, p);
  return set->p == p && set->state == LG_SET_MADE ? lg_in_set(c, set) : lg_m_in_new_set(m, set, c, p);
}

#endif
