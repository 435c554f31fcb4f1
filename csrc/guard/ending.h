/* What ends a run in progress: the flag that says so, the hooks that were set for it, and the budget of instructions.
 *
 * Contract: the run's own thread writes all of this, but for the flag, which any thread and a signal handler may raise. The
 * handler runs on the run's thread, or while that thread is suspended (tell.h). Contents are one run's, unless said
 * otherwise; lg_ending_begin() is called before the run can be told anything. */
#ifndef LG_ENDING_H
#define LG_ENDING_H

#include <stdatomic.h>
#include <stdint.h>

#include "watchdog.h"

struct lg_state;

/* What is to happen to a run; 0 while nothing is. What is above 0 ends it, but for the tick. */
enum lg_interrupt_reason {
  LG_INT_CROWDED = -1, /* the heap nears its limit: see lg_attend */
  LG_INT_NONE = 0,
  LG_INT_TIMEOUT = LG_WATCH_DEADLINE,
  LG_INT_HOST,
  LG_INT_CALLBACK,
  LG_INT_TICK = LG_WATCH_TICK, /* the host wants a word: see lg_attend */
  LG_INT_CPU = LG_WATCH_CPU,
  LG_INT_STILL = LG_WATCH_STILL, /* the count of instructions stands still */
  LG_INT_BUDGET
};

struct lg_ending {
  atomic_int flag;     /* enum lg_interrupt_reason. Any thread; a signal handler too */
  int crowded;         /* the heap came near its limit: how often to collect for it yet (hooks.h); else 0 */
  int arms;            /* how often this run has been told to end by a hook. The handler writes it */
  int ticks_missed;    /* ticks since the host last had its word. The handler writes it */
  int no_hard_stop;    /* the host does without; as long as the state lives */
  uint64_t hard_stops; /* so far, in the state's life */
};

/* The budget of instructions (poll.h, hooks.h). */
struct lg_budget {
  int64_t left;      /* of max_instructions */
  atomic_uint moves; /* changes with them; the watchdog reads it */
  int counted; /* the run has max_instructions; not asked of rq, which a greenlet's stack may hold. A handler reads it */
};

/* What the watchdog calls for a state's run. */
extern const struct lg_watch_calls lg_state_calls;

/* A run begins that may spend so many instructions; 0: it counts none. */
static inline void lg_ending_begin(struct lg_ending *ending, struct lg_budget *budget, int64_t max_instructions) {
  budget->left = max_instructions;
  budget->counted = max_instructions > 0;
  ending->crowded = 0;
  ending->arms = 0;
  ending->ticks_missed = 0;
  atomic_store(&ending->flag, LG_INT_NONE);
}

/* The host's word at a tick: not 0 when the run is to end. On the run's thread, with nothing of the host's held. */
int lg_state_host_word(struct lg_state *st);

/* Raise the run's flag, unless it is up for a reason that counts as much. Any thread; async-signal-safe. */
void lg_state_flag(struct lg_state *st, int reason);

/* The heap nears its limit, or was refused (struct lg_meter's `passed`, where Lua does not collect by itself when it is refused):
 * garbage is collected at the next instruction, or when a library function looks at the flag. From within the allocator, where
 * Lua could not collect. */
void lg_state_crowded(void *ud);

/* End the run in progress, if any, from any thread. 1 when a run was told to stop, 0 when nothing runs. */
int lg_state_interrupt(struct lg_state *st, int reason);

#endif
