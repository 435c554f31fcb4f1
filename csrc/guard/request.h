/* What a run is asked for, what it reports, and how far it has come.
 *
 * Contract: the caller of a run owns the request and the report, which stay where they are until the run is over. Bytes are
 * bytes, times are nanoseconds of the monotonic clock unless named otherwise. */
#ifndef LG_REQUEST_H
#define LG_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "../probe/lg_probe.h"
#include "buf.h"
#include "outcome.h"

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

/* What compiling took where it is a part of the run. */
struct lg_compiled {
  size_t growth; /* bytes at its peak above where it began */
  size_t kept;   /* bytes that remain of it */
  uint64_t allocated_bytes, allocation_count, refused_allocations;
};

/* The run in progress (run.h). Written by the run's own thread. */
struct lg_progress {
  int status;                  /* how its last protected call ended */
  struct lg_compiled compiled; /* what compiling took in a run that compiles its script */
};

#endif
