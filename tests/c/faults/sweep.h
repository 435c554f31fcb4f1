/* Rounds, each in a process of its own: what is tested sets itself up once per process. */
#ifndef LG_FAULTS_SWEEP_H
#define LG_FAULTS_SWEEP_H

#include "lg_test.h"

struct lg_round {
  const char *name;
  unsigned long (*run)(unsigned long at, int on); /* returns how many calls it made while they could fail */
  int swept;                                      /* or run once */
};

/* Whether a round was clean, in a process of its own; *made: the calls it made. */
static int one(const struct lg_round *round, unsigned long at, int on, unsigned long *made);

/* Refuse each call of a round in turn: once alone, and from that one on. Beyond `dense` calls only one in so many fails that
 * each step is a `share` of the way. */
static void sweep(const struct lg_round *round, unsigned long dense, unsigned long share) {
  unsigned long most = 0, rounds = 0;
  CHECK(one(round, 0, 0, &most));
  CHECK(most > 0);
  for (int on = 0; on < 2 && round->swept; on++) {
    unsigned long made = most;
    for (unsigned long at = 1; at <= made && at <= 2 * most; at++, rounds++) {
      CHECK(one(round, at, on, &made));
      if (made < most) made = most; /* a round that ended early: the calls after it fail in the other rounds */
      if (at > dense) at += at / share;
    }
  }
  printf("%s: %lu calls, %lu rounds\n", round->name, most, rounds);
}

static void report(const struct lg_round *round, unsigned long at, int on, int status) {
  fprintf(stderr, "%s, call %lu%s: status %#x\n", round->name, at, on ? " and on" : "", (unsigned)status);
}

#endif
