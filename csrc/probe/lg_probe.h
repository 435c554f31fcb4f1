/* The process probe: what the operating system says this process holds. One source file per OS behind this header.
 *
 * Units: bytes and seconds. Ownership: nothing is handed over; strings are static.
 * Threads: every function but lg_probe_set_statm_path may be called from any thread at any time, with no lock to hold.
 * Fork: a reading taken in a forked child is the child's own. (On Linux this needs fork(); a bare clone system call
 * runs no fork handlers, and its child goes on reading the parent until it calls exec.)
 * Signals: lg_probe_read may be called from a signal handler once it has returned LG_OK in ordinary code.
 * Errors: a function that does not return LG_OK has left its out-parameters alone, save *os_error, which is the OS's
 * own code (errno, kern_return_t, GetLastError) or 0 where no OS call failed. No failure is ever a silent zero. */
#ifndef LG_PROBE_H
#define LG_PROBE_H

#include <stdint.h>

#include "lg_status.h"

/* The value of heap_bytes where the OS answers, but has no such figure. */
#define LG_PROBE_UNKNOWN (-1)

struct lg_probe_reading {
  int64_t rss_bytes;  /* resident memory, always above 0 */
  int64_t heap_bytes; /* private data as this OS counts it (see lg_probe_describe), or LG_PROBE_UNKNOWN */
  double timestamp;   /* monotonic seconds: the clock of time.monotonic() (on Windows: that of CPython 3.13+) */
};

/* What the figures of this build are, for people. Each is a short noun phrase; NULL where there is no such figure. */
struct lg_probe_description {
  const char *platform;    /* "linux", "macos", "windows", "unsupported" */
  const char *rss;         /* where rss_bytes comes from */
  const char *heap;        /* where heap_bytes comes from */
  const char *heap_in_use; /* where lg_probe_heap_in_use looks, here and now */
};

/* One reading, in constant time whatever the state of the heap. Costs about a microsecond, so it may keep the GIL.
 * LG_OK; LG_UNSUPPORTED (no probe for this OS, or the OS offers no such facility here, as where /proc is not mounted);
 * LG_OS_ERROR; LG_BAD_DATA. */
int lg_probe_read(struct lg_probe_reading *out, int *os_error);

/* Bytes that the C allocator has handed out and not got back. On request only: it visits every free chunk, so it takes
 * from a microsecond to tens of milliseconds, and it takes the allocator's locks. Give up the GIL around it.
 * Memory that does not come from malloc (CPython's own arenas, mmap) is not in it.
 * LG_OK; LG_UNSUPPORTED (musl, glibc before 2.33 or behind a preloaded allocator, Windows); LG_BAD_DATA. */
int lg_probe_heap_in_use(int64_t *bytes, int *os_error);

/* Fills *out; never fails. */
void lg_probe_describe(struct lg_probe_description *out);

/* Linux: read `path` instead of /proc/self/statm from now on; NULL goes back to it. The text is copied, and the kept
 * descriptor is closed. Not while another thread reads. For procfs mounted elsewhere, and to see failures happen.
 * LG_OK; LG_BAD_ARGUMENT (empty or too long); LG_UNSUPPORTED on any other OS. */
int lg_probe_set_statm_path(const char *path);

#endif
