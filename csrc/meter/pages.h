/* Where the arena's memory comes from: whole pages of the operating system, zeroed when they are new.
 *
 * Contract
 * - Sizes are bytes and multiples of LG_PAGE_SIZE; addresses are multiples of it. The caller remembers sizes.
 * - Any thread, but not from a signal handler. A refusal returns NULL and changes nothing; giving back never fails.
 * - Large pages are not asked for. They save much where memory lies ready (a heap of 10 MB ran in 0.8 of the time), but
 *   on a virtual machine whose host takes free ones back, filling 500 MB took twice as long; and making one may wait.
 * - One file per operating system: pages_posix.c, pages_windows.c. */
#ifndef LG_PAGES_H
#define LG_PAGES_H

#include <stddef.h>

/* The unit in which the arena rounds. Where the machine's own pages are larger (16 KiB on Apple silicon, 64 KiB on some
 * arm64 kernels) the system rounds up by itself, and discarding less than a whole page of its is a no-op. */
#define LG_PAGE_SIZE ((size_t)4096)

/* New zeroed memory, nothing of it resident yet; NULL when refused. */
void *lg_pages_map(size_t size);

/* Give back a whole mapping. */
void lg_pages_unmap(void *pages, size_t size);

/* Make a whole mapping larger or smaller, keeping its contents and perhaps moving it; the old address is gone then.
 * NULL, and nothing changed, when the system refuses or has no such call: map, copy and unmap instead. */
void *lg_pages_resize(void *pages, size_t old_size, size_t new_size);

/* How many addresses one arena should reserve, which could use `most`: where the process may have only so many (RLIMIT_AS, 32
 * bits), as many as the state between runs takes. */
size_t lg_pages_to_reserve(size_t most);

/* Addresses without memory, which nothing else gets; NULL when refused, or when this system has no such call. */
void *lg_pages_reserve(size_t size);

/* Make pages of a reservation usable. 0, or -1 when refused. */
int lg_pages_commit(void *pages, size_t size);

/* The other way: their contents and memory go, the addresses stay reserved. */
void lg_pages_uncommit(void *pages, size_t size);

/* Move a whole mapping to reserved pages of that size, which it takes the place of: 1; 0, and nothing changed, where the system
 * has no such call or refuses. */
int lg_pages_move(void *pages, size_t size, void *to);

/* Move the contents to a mapping of their own, in time that hardly depends on their size; in their place are new pages.
 * NULL, and nothing changed, where the system has no such call or refuses. */
void *lg_pages_detach(void *pages, size_t size);

/* Give the memory back but keep the addresses: contents become zero or stay, and come back at the next write. */
void lg_pages_discard(void *pages, size_t size);

/* Make pages now that will be written soon, which costs a third less than one by one at their first write. A hint: without
 * effect where the system has no such call. */
void lg_pages_prepare(void *pages, size_t size);

#ifdef LG_TEST_FAULTS
/* Tests: when set, asked before every map, resize, reservation and commit; nonzero refuses that one. */
extern int (*lg_pages_fault)(void);
#define LG_PAGES_REFUSED() (lg_pages_fault != NULL && lg_pages_fault())
#else
#define LG_PAGES_REFUSED() 0
#endif

#endif
