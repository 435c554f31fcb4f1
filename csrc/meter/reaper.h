/* Gives large mappings back to the system on a thread of its own: 100 MB cost the kernel some 10 ms, which whoever ran the
 * script should not wait for.
 *
 * Contract: any thread, not from a signal handler. Mappings are whole ones (pages.h). What the thread has not given back yet
 * is bounded; what is too much then, or no thread can be had for, is given back before the call returns. The thread blocks
 * every signal, begins when it is first needed, and is through and gone before the process forks. */
#ifndef LG_REAPER_H
#define LG_REAPER_H

#include <stddef.h>

#define LG_REAP_MIN ((size_t)8 * 1024 * 1024) /* below, giving back takes less than a millisecond */

/* Give a mapping back. While it waits, `note` in it, usable and aligned to a page, says so. */
void lg_reap(void *pages, size_t size, void *note);

/* Bytes that wait to be given back: for tests. */
size_t lg_reap_waiting(void);

#endif
