/* What the host gives a state for its scripts: its functions, what os.getenv() finds, where random numbers begin, and a clock.
 *
 * Contract: the names are the state's own copies. They, the seed and the frozen moment are set before the state is opened, and
 * do not change while it lives. `args` and `result` belong to the call in progress (host_call.h), and `clock.begun` and
 * `clock.origin` to the run (stdlib/oslib.h), on the run's thread. All zero: no functions, no seed, the real clock. */
#ifndef LG_HOST_H
#define LG_HOST_H

#include <stdint.h>

#include "buf.h"

/* Functions of these names are no script's to call. The clock takes nothing, and answers with a number of seconds since the epoch.
 * The other takes the time, level and message of a log entry; what it answers is not looked at. */
#define LG_CLOCK_NAME "config.clock"
#define LG_LOG_NAME "config.on_log"

/* What the random numbers of every run begin with. */
struct lg_seed {
  int given;
  uint64_t bits; /* for the Luas that have integers */
  double number; /* the same, for those that have floats only */
};

/* The clock that scripts read, unless it is the real one. */
struct lg_clock {
  int frozen;
  double seconds; /* where it is frozen: since the epoch */
  int begun;      /* this run has read it */
  double origin;  /* what the run read first: os.clock() counts from there */
};

struct lg_host {
  int function_count; /* one whose name has a dot is for the library (stdlib/files.h), not for scripts */
  char **function_names;
  int environ_count; /* pairs name, value (stdlib/oslib.h) */
  char **environ_pairs;
  struct lg_buf args, result; /* wire bytes of the call in progress */
  struct lg_seed seed;
  struct lg_clock clock;
  int clock_function; /* the number of LG_CLOCK_NAME plus 1, or 0 where there is none */
  int log_function;   /* of LG_LOG_NAME, in the same way */
};

#endif
