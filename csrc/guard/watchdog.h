/* The one native thread that ends runs when their time is over.
 *
 * Nothing is installed in a run while it is within its time. When it is due, `fire` is called while the run's own thread is at
 * an instruction of its own: in a signal handler there, or, on Windows, while that thread is suspended. Only so can Lua's hook be
 * set safely (a hook set beside a running thread races with the call list that lua_sethook walks), and the thread be sent
 * elsewhere (hardstop.h).
 *
 * Contract
 * - struct lg_watch is embedded in a state, zeroed at first. From lg_watch_begin() to lg_watch_end() it belongs to the
 *   watchdog; both are called by the run's own thread. Watches of one thread nest (a run inside another's callback),
 *   and end in any order: greenlets change the C stack inside a callback, so the outer run may be over first.
 * - `flag` and `fire` must be async-signal-safe, and may be invoked more than once. After lg_watch_end() has returned they are
 *   not invoked again for that run. What a thread needs to be told is said in tell.h and its files.
 * - While a host function runs, its thread is told nothing (lg_watch_leave).
 * - fork: the child's runs get a thread of their own, and what CPU time was left at the fork. Where no thread can be had
 *   for the runs under way, after a fork, those with limits are due at once: a limit that nobody watches would be none.
 * - The thread blocks every signal, is started on first need, and sleeps when nothing runs. */
#ifndef LG_WATCHDOG_H
#define LG_WATCHDOG_H

#include <stdatomic.h>
#include <stdint.h>

#include "../os/compiler.h"
#include "../os/sync.h"
#include "signal.h"

struct lg_watch;

/* What a run does when it is told something. */
struct lg_watch_calls {
  /* Raise the run's flag, by the watchdog's own thread: its count of instructions stands still, and if it looks at its flag it
   * may let the count move; or the run is due, and its thread cannot be told. */
  void (*flag)(struct lg_watch *watch, int reason);
  /* See tell.h. */
  void (*fire)(struct lg_watch *watch, int reason, void *context);
};

/* How its thread is told: tell.h. */
struct lg_told {
#ifdef _WIN32
  void *thread;
  unsigned long id;
  _Alignas(16) unsigned char saved[1280]; /* where the thread was, while it is lent to the host (machine_windows.c) */
#else
  pthread_t thread;
#endif
};

struct lg_watch {
  struct lg_watch *prev, *next; /* the process's list of runs under way */
  struct lg_watch *outer;       /* the run of this thread that began before this one and is not over, or NULL */
  const struct lg_watch_calls *calls;
  int64_t deadline_ns;  /* monotonic; INT64_MAX for none */
  int64_t cpu_limit_ns; /* CPU time this thread may have used; INT64_MAX for no limit */
  int64_t cpu_check_ns; /* when to look at it again: CPU time never passes faster than time */
  uint64_t cpu_clock;
  int64_t cpu_left_ns;   /* while the process forks: what is left of the limit */
  int64_t paused_ns;     /* since when the deadline stands still; 0 while it runs */
  int64_t tick_every_ns; /* 0 for never */
  int64_t tick_ns;       /* the next tick */
  int64_t kick_ns;       /* when due: tell the thread (again) at this time */
  int64_t interval_ns;   /* between those times; grows */
  int64_t interval_most_ns;
  const atomic_uint *moves; /* changes as the run counts its instructions; NULL where it counts none */
  unsigned moves_seen;
  int64_t moved_ns;      /* CPU time of its thread when it was last seen to have changed; -1 before */
  int64_t moves_look_ns; /* when to look again */
  atomic_int reason;     /* why the run is due; 0 while it is not */
  atomic_int tick;       /* a tick is to be delivered */
  atomic_int away;       /* a host function runs, on the run's thread: it is told nothing */
  atomic_int owed;       /* a tick came due meanwhile */
  int active;
  struct lg_told told;
};

/* The reasons given for a passed deadline, for a tick, for CPU time used up, and for a count of instructions that does not
 * move; lg_watch_fire() brings its own. */
enum { LG_WATCH_DEADLINE = 1, LG_WATCH_TICK = 4, LG_WATCH_CPU = 5, LG_WATCH_STILL = 6 };

/* When a run is due. Times in nanoseconds. */
struct lg_watch_limits {
  int64_t deadline_ns;      /* on the monotonic clock; INT64_MAX for none */
  int64_t cpu_ns;           /* CPU time the calling thread may use from now on; 0 for no limit */
  int64_t tick_every_ns;    /* `fire` with LG_WATCH_TICK this often; 0 for never. See lg_watch_leave() */
  int insist;               /* go on telling a run that is due every few milliseconds: it can be sent elsewhere */
  const atomic_uint *moves; /* NULL, or what changes as the run counts its instructions: where it does not for
                               LG_WATCH_STILL_NS of CPU time outside of host functions, the run is due */
};

#ifndef LG_WATCH_STILL_NS /* tests make it shorter */
#define LG_WATCH_STILL_NS INT64_C(100000000)
#endif

/* Where `fire` lends the thread to the host: let it be told again, and not any more. By the run's thread. */
void lg_watch_open(void);
void lg_watch_shut(void);

/* Put a run under watch from `now_ns` (lg_now_ns()) on.
 * LG_OK, or LG_OS_ERROR: a clock, the thread or what tells it could not be set up (*os_error); then the run is not under
 * watch, lg_watch_end() must not be called, and the next run tries again. */
int lg_watch_begin(struct lg_watch *w, int64_t now_ns, const struct lg_watch_limits *limits,
                   const struct lg_watch_calls *calls, int *os_error);

/* Let the deadline stand still until lg_watch_continue(): a host function runs. CPU time goes on being counted. By the
 * run's thread. */
void lg_watch_pause(struct lg_watch *w);
void lg_watch_continue(struct lg_watch *w);

/* Tell the thread nothing until lg_watch_return(): a host function runs, whose system calls a signal would break off (EINTR).
 * When this returns none is on its way either, unless the thread blocks the signal; then lg_watch_due() says whether the run is due.
 * lg_watch_return(): whether a tick came due meanwhile; the caller sees to it. Both by the run's thread; neither takes a lock,
 * but for the first when it meets a signal. */
void lg_watch_leave(struct lg_watch *w);
int lg_watch_return(struct lg_watch *w);

/* Why the run is due, or 0. By the run's thread. */
static inline int lg_watch_due(const struct lg_watch *w) { return atomic_load(&w->reason); }

/* Take it back. */
void lg_watch_end(struct lg_watch *w);

/* Make an active run due now, from any thread (not from a signal handler). 1 when it was active, else 0. */
int lg_watch_fire(struct lg_watch *w, int reason);

/* Runs under way in this process, and the number of runs ever begun: two readings of the second tell whether another
 * run began in between. Any thread. */
unsigned lg_watch_active(void);
uint64_t lg_watch_begun(void);

#endif
