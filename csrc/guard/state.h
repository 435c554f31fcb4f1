/* One engine's Lua state as the core sees it: the meter, the run in progress, and the calls each Lua version implements.
 *
 * Contract
 * - A struct lg_state belongs to one engine. All functions of struct lg_ops except arm() are called by one thread at a
 *   time, without the GIL unless said otherwise; none of them lets a Lua error escape, none aborts.
 * - Bytes are bytes, times are nanoseconds of the monotonic clock unless named otherwise. */
#ifndef LG_STATE_H
#define LG_STATE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "../meter/image.h"
#include "../meter/meter.h"
#include "../probe/lg_probe.h"
#include "buf.h"
#include "hardstop.h"
#include "outcome.h"
#include "watchdog.h"

struct lua_State;

/* What is to happen to a run from outside; 0 while nothing is. All but the tick end it. */
enum lg_interrupt_reason {
  LG_INT_NONE = 0,
  LG_INT_TIMEOUT = LG_WATCH_DEADLINE,
  LG_INT_HOST,
  LG_INT_CALLBACK,
  LG_INT_TICK = LG_WATCH_TICK, /* the host wants a word: see lg_attend */
  LG_INT_CPU = LG_WATCH_CPU,
  LG_INT_STILL = LG_WATCH_STILL, /* the count of instructions stands still */
  LG_INT_BUDGET
};

/* See to what the host has to do in between (Python's signal handlers); 0 to go on, else the run ends. On the run's
 * thread, without the GIL. */
typedef int (*lg_host_tick)(void *host);

/* Call the Python function number `index` with the arguments in `args` (a wire tuple); put its result (one wire value)
 * into `result`, or an error message, and return 0 for a result, 1 for an error that the script may catch, 2 for one
 * that ends the run. Called on the run's thread without the GIL; must not touch Lua. */
typedef int (*lg_host_call)(void *host, int index, const struct lg_buf *args, struct lg_buf *result);

struct lg_request {
  int ref;            /* a compiled script, or -1 to compile `source` */
  uint64_t globals;   /* with ref: what the compile reported */
  int keep;           /* with source: keep the compiled script and report its ref */
  const char *source; /* UTF-8 or any bytes, never read past source_len */
  size_t source_len;
  const char *name;             /* chunk name as in lua_load, NUL-terminated ("=..." or "@...") */
  const unsigned char *context; /* one wire value, or NULL */
  size_t context_len;
  size_t memory_limit;      /* growth in bytes the run may reach; LG_NO_LIMIT for none */
  int64_t timeout_ns;       /* 0 for none */
  int64_t cpu_ns;           /* CPU time of the run's thread; 0 for no limit */
  int64_t max_instructions; /* 0 for no limit; see lg_budget_hook */
  int exclude_callbacks;    /* the deadline stands still while a host function runs */
  size_t max_output;        /* bytes of the wire encoding */
  size_t max_log_bytes;
  size_t max_log_entries;
  int measure_process; /* read the process probe before and after */
  int64_t tick_ns;     /* call host_tick about this often, 0 for never */
  lg_host_tick host_tick;
  lg_host_call host_call;
  void *host;
};

struct lg_report {
  int outcome;  /* enum lg_outcome */
  int ref;      /* with keep and a good compile: the script's ref, else -1 */
  int stopped;  /* enum lg_stopped */
  int line;     /* of an error, or where a limit ended the run; 0 when unknown */
  int os_error; /* of LG_RUN_UNWATCHED */
  int cause;    /* the error is the one the last failing callback raised */
  size_t start_bytes, end_bytes, peak_bytes, reserved_bytes;
  size_t output_bytes; /* of LG_RUN_OUTPUT: how large the output was when it became too large */
  size_t wanted_bytes; /* what the heap would have become in the last refused allocation; 0 when none was refused */
  uint64_t allocated_bytes, allocation_count, refused_allocations;
  int64_t duration_ns;
  uint64_t logs_dropped;
  uint64_t globals;   /* with a good compile: which globals the source mentions (opaque; hand it back in the request) */
  int process_status; /* enum lg_status of the probe; LG_OK when before and after are set */
  int process_os_error;
  int process_shared; /* another run overlapped this one */
  struct lg_probe_reading before, after;
};

struct lg_state;

struct lg_ops {
  const char *instance; /* lua54, ... */
  int64_t max_int;      /* the largest integer that its numbers hold exactly, with all below it */
  int compiler_off;     /* it has a compiler, which is off */
  /* Make the Lua state and its sandbox. LG_OK, LG_NO_MEMORY. */
  int (*open)(struct lg_state *st);
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

/* What compiling took where it is a part of the run. */
struct lg_compiled {
  size_t growth; /* bytes at its peak above where it began */
  size_t kept;   /* bytes that remain of it */
  uint64_t allocated_bytes, allocation_count, refused_allocations;
};

/* What kind of error value is kept at error_ref. */
enum lg_error_kind { LG_ERROR_NONE = 0, LG_ERROR_CALLBACK, LG_ERROR_FORBIDDEN };

struct lg_state {
  struct lg_meter meter; /* first: the allocator's ud is the state itself */
  const struct lg_ops *ops;
  struct lua_State *L;                /* main coroutine */
  struct lua_State *volatile running; /* the coroutine that runs now; read by the signal handler */
  atomic_int interrupt;               /* enum lg_interrupt_reason */
  const char *stack_floor;            /* how deep this run's C stack may go; NULL when not known */
  const char *host_floor;             /* how deep where it calls a host function, which needs a stack of its own */
  struct lg_watch watch;              /* this run's entry with the watchdog */
  struct lg_stop stop;                /* where the run's thread can be sent back to */
  struct lg_image image;              /* of the state between runs; its data is NULL when there is none */
  int dirty;                          /* a run left what is not in the image */
  int stale;                          /* the image is to be taken (anew) before the next run */
  int status;                         /* how the protected call ended (run.h) */
  struct lg_compiled compiled;        /* what compiling took in a run that compiles its script */
  const struct lg_request *rq;        /* the run in progress, else NULL */
  struct lg_report *rp;
  struct lg_buf scratch; /* bytes that are about to become one string (stdlib/rep.h) */
  struct lg_buf output, logs, message, traceback, path, args, result;
  size_t log_entries;        /* this run's */
  size_t log_bytes;          /* of their messages */
  int64_t instructions_left; /* of max_instructions */
  atomic_uint moves;         /* changes with them */
  int arms;                  /* how often this run has been told to end by a hook */
  int ticks_missed;          /* ticks since the host last had its word */
  uint64_t hard_stops;       /* so far */
  size_t range_bytes;        /* addresses to reserve; read by ops->open only */
  int no_hard_stop;          /* the host does without */
  int counted;               /* the run has max_instructions; not asked of rq, which a greenlet's stack may hold */
  int env_ref;               /* registry: template of the globals */
  struct lg_boxed *boxes;    /* blocks of this run's string buffers (stdlib/strbuf.h) */
  size_t box_run;            /* tells this run's boxes from earlier ones' */
  int box_ref;               /* registry: metatable of string buffers (stdlib/strbuf.h) */
  int idle_ref;              /* registry: the empty globals between runs */
  int error_ref;             /* registry: the last error value that a host function or the sandbox raised */
  int error_kind;            /* enum lg_error_kind */
  int function_count;        /* host functions; one whose name has a dot is for the prelude, not for scripts */
  char **function_names;
  int environ_count; /* os.getenv: pairs name, value */
  char **environ_pairs;
  const char *prelude; /* Lua text that adds to the globals (env.h), read by ops->open only; NULL for none */
  size_t prelude_len;
  size_t base_bytes;      /* current in the image; without one, after the last full collection */
  size_t collected_bytes; /* current after the last full collection */
  uint64_t random[4];     /* math.random's generator; lg_random_begin() (stdlib/mathlib.h) makes it fresh for a run */
};

/* What the watchdog calls for a state's run. */
extern const struct lg_watch_calls lg_state_calls;

/* The host's word at a tick: not 0 when the run is to end. On the run's thread, with nothing of the host's held. */
int lg_state_host_word(struct lg_state *st);

/* Raise the run's flag, unless it is up for a reason that counts as much. Any thread; async-signal-safe. */
void lg_state_flag(struct lg_state *st, int reason);

/* Take an image of the state, between runs; where there can be none, it goes on without. */
void lg_state_keep(struct lg_state *st);

/* Put the image back: the state is what it was when that was taken. */
void lg_state_rewind(struct lg_state *st);

/* NULL, or why runs of this state have no hard stop. */
const char *lg_state_no_stop(const struct lg_state *st);

/* What the state holds from the system and the C library for its heap: the arena, and the image of it. */
static inline size_t lg_state_held(const struct lg_state *st) { return lg_meter_reserved(&st->meter) + st->image.room; }

/* Allocate a state for `ops`; NULL when memory is refused. Names are copied. Call ops->open next. */
struct lg_state *lg_state_new(const struct lg_ops *ops, int function_count, const char *const *function_names,
                              int environ_count, const char *const *environ_pairs);

/* What the state may hold from the system where its heap is bounded: fragmentation takes some, but not many times the limit. */
static inline size_t lg_reserved_most(size_t limit) {
  const size_t times = 4;
  const size_t more = (size_t)16 << 20;
  return limit > (LG_NO_LIMIT - more) / times ? LG_NO_LIMIT : limit * times + more;
}

/* The most addresses that a state reserves. A caller that knows the limit sets range_bytes to less, but not below what many
 * compiled scripts take, which no limit of a run bounds. */
#define LG_RANGE_MOST ((size_t)1024 << 20)
#define LG_RANGE_LEAST ((size_t)256 << 20)

/* Close and free. Safe on a state whose open() failed. */
void lg_state_free(struct lg_state *st);

/* End the run in progress, if any, from any thread. 1 when a run was told to stop, 0 when nothing runs. */
int lg_state_interrupt(struct lg_state *st, int reason);

/* The version's calls, found in the shared object at `path`, which is loaded if it was not. LG_OK; LG_UNSUPPORTED: a symbol is
 * missing, or another module serves that Lua already; LG_OS_ERROR: it cannot be loaded. *why says so in words, until the next
 * call. LG_BAD_ARGUMENT: unknown instance. Under the GIL. */
int lg_ops_resolve(const char *instance, const char *path, const struct lg_ops **ops, const char **why);

#endif
