/* The calls that each Lua version implements (ops_table.h), and where they are found.
 *
 * Contract: all functions of struct lg_ops except arm() are called by one thread at a time for one state, without the GIL
 * unless said otherwise; none of them lets a Lua error escape, none aborts. */
#ifndef LG_OPS_H
#define LG_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "machine.h"
#include "request.h"

struct lg_state;

/* The most addresses that a state reserves. A caller that knows the limit lets it reserve less, but not below what many compiled
 * scripts take, which no limit of a run bounds. */
#define LG_RANGE_MOST ((size_t)1024 << 20)
#define LG_RANGE_LEAST ((size_t)256 << 20)

/* How a state is made. */
struct lg_opening {
  size_t range_bytes; /* addresses to reserve */
};

struct lg_ops {
  const char *instance; /* lua54, ... */
  int64_t max_int;      /* the largest integer that its numbers hold exactly, with all below it */
  int compiler_off;     /* it has a compiler, which is off */
  /* Make the Lua state and its sandbox. `how` is read only now; NULL: LG_RANGE_MOST. LG_OK, LG_NO_MEMORY;
   * LG_OS_ERROR: the system gives no random numbers, and errno says why. */
  int (*open)(struct lg_state *st, const struct lg_opening *how);
  /* Close it; the state must not be running. */
  void (*close)(struct lg_state *st);
  /* Compile only. Outcome LG_RUN_OK sets ref (when keep), else LG_RUN_SYNTAX etc. as for a run. */
  void (*compile)(struct lg_state *st, const struct lg_request *rq, struct lg_report *rp);
  /* Run; output (wire), logs, message, traceback and path are in st's buffers until the next call. */
  void (*run)(struct lg_state *st, const struct lg_request *rq, struct lg_report *rp);
  /* Forget a compiled script. Its memory is free after the next call that collects. */
  void (*release)(struct lg_state *st, int ref, int collects);
  /* Arm the interrupt hook on the running coroutine. Async-signal-safe; only on the run's own thread. */
  void (*arm)(struct lg_state *st);
  /* Lua's code, found when the functions were. */
  struct lg_text text;
  const char *no_stop;  /* NULL, or why there is no hard stop with this Lua */
  char lua_release[48]; /* as lua/release.h reads it */
};

/* The version's calls, found in the shared object at `path`, which is loaded if it was not. LG_OK; LG_UNSUPPORTED: a symbol is
 * missing, or another module serves that Lua already; LG_OS_ERROR: it cannot be loaded. *why says so in words, until the next
 * call. LG_BAD_ARGUMENT: unknown instance. Under the GIL. */
int lg_ops_resolve(const char *instance, const char *path, const struct lg_ops **ops, const char **why);

#endif
