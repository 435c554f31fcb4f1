/* One engine's Lua state as the core sees it: a list of rooms, each declared with the code that it belongs to.
 *
 * Contract: a struct lg_state belongs to one engine. What of it other threads and signal handlers may touch is said in each
 * room's header. */
#ifndef LG_STATE_H
#define LG_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "../meter/meter.h"
#include "answer.h"
#include "ending.h"
#include "hardstop.h"
#include "host.h"
#include "identity.h"
#include "kept.h"
#include "ops.h"
#include "request.h"
#include "stackfloor.h"
#include "watchdog.h"

struct lua_State;

/* The last error value that a host function raised (failure.h). */
enum lg_error_kind { LG_ERROR_NONE = 0, LG_ERROR_CALLBACK };

struct lg_error {
  int ref;  /* registry; made with the state */
  int kind; /* enum lg_error_kind */
};

/* String buffers (stdlib/strbuf.h). */
struct lg_boxes {
  struct lg_boxed *list; /* blocks of this run's */
  size_t run;            /* tells this run's from earlier ones' */
  int ref;               /* registry: their metatable */
};

/* References in the registry that are made with the state (template.h). */
struct lg_refs {
  int env;                                 /* template of the globals */
  int idle;                                /* the empty globals between runs */
  int strings;                             /* the strings' metatable */
  int names;                               /* the libraries by name, as 5.2 and later look for names of functions */
  int info;                                /* LuaJIT's own debug.getinfo */
  int forget, put_right, collect, release; /* the functions of upkeep.h, so that to call one takes no memory */
  const void *library_globals; /* what the library's functions had for theirs (stdlib/fenv.h); only 5.1 and LuaJIT */
  const void *raisers[2];      /* error and assert, which raise what a script has made (failure.h) */
};

/* What a run has changed of the state itself. The next run finds it as it was: lg_put_right() (upkeep.h) sees to that where no
 * image is put back. Bits of struct lg_state's `changed`. */
enum lg_changed {
  LG_CHANGED_STRINGS = 1,   /* strings' methods are those of the run's own library */
  LG_CHANGED_COLLECTOR = 2, /* the collector has been told something: lg_collector (stdlib/garbage.h) */
  LG_CHANGED_YOUNG = 4,     /* and its parameters of generations too */
  LG_CHANGED_LOADED = 8,    /* the registry holds the run's own modules and streams (own.h) */
  LG_CHANGED_WARNINGS = 16  /* warnings are on (stdlib/print.h) */
};

/* The collector's parameters as they were before a run changed one, in the order of stdlib/garbage.h. */
enum { LG_COLLECTOR_PARAMETERS = 6 };
struct lg_collector {
  int before[LG_COLLECTOR_PARAMETERS];
  int stopped;      /* by the script */
  int generational; /* by the script */
};

struct lg_state {
  struct lg_meter meter; /* first: the allocator's ud is the state itself */
  const struct lg_ops *ops;
  struct lua_State *L;                /* main coroutine */
  struct lua_State *volatile running; /* the coroutine that runs now; read by the signal handler */
  const struct lg_request *rq;        /* the run in progress, else NULL */
  struct lg_report *rp;
  struct lg_progress progress;
  struct lg_ending ending;
  struct lg_budget budget;
  struct lg_stack_floors floors;
  struct lg_watch watch; /* this run's entry with the watchdog */
  struct lg_stop stop;   /* where the run's thread can be sent back to */
  struct lg_kept kept;
  struct lg_answer answer;
  struct lg_host host;
  struct lg_refs refs;
  struct lg_error error;
  struct lg_boxes boxes;
  unsigned changed;              /* enum lg_changed: by the run in progress */
  struct lg_collector collector; /* once `changed` has LG_CHANGED_COLLECTOR */
  struct lg_identity identity;   /* set when the state is made */
  struct lg_buf scratch;         /* bytes that are about to become one string (stdlib/rep.h) */
  uint64_t random[4]; /* math.random's generator; lg_random_begin() (stdlib/mathlib.h) makes it fresh for a run */
};

/* What the state holds from the system and the C library for its heap: the arena, and the image of it. */
static inline size_t lg_state_held(const struct lg_state *st) {
  return lg_meter_reserved(&st->meter) + st->kept.image.room;
}

/* Allocate a state for `ops`; NULL when memory is refused. Names are copied. Call ops->open next. */
struct lg_state *lg_state_new(const struct lg_ops *ops, int function_count, const char *const *function_names,
                              int environ_count, const char *const *environ_pairs);

/* What the state may hold from the system where its heap is bounded: fragmentation takes some, but not many times the limit. */
static inline size_t lg_reserved_most(size_t limit) {
  const size_t times = 4;
  const size_t more = (size_t)16 << 20;
  return limit > (LG_NO_LIMIT - more) / times ? LG_NO_LIMIT : limit * times + more;
}

/* Close and free. Safe on a state whose open() failed. */
void lg_state_free(struct lg_state *st);

#endif
