/* Linux, macOS and the other POSIX systems with anonymous mmap. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* mremap */
#endif
#if defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE /* MAP_ANON, MADV_FREE */
#endif

#include "pages.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0 /* only a hint, and FreeBSD has none: pages without access are not counted anywhere */
#endif

/* The C library's headers may be older than the kernel. */
#if defined(__linux__) && !defined(MADV_POPULATE_WRITE)
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#if defined(__linux__) && !defined(MREMAP_DONTUNMAP)
#define MREMAP_DONTUNMAP 4 /* Linux 5.7 */
#endif

#ifdef LG_TEST_FAULTS
int (*lg_pages_fault)(void) = NULL;
#endif

#if defined(__linux__) && defined(__aarch64__)
/* LuaJIT keeps 47 bits of an object's address, and Linux has 48 on most arm64 machines, of which it hands out the highest first.
 * So each mapping is asked for by its address, behind the last one, from somewhere in the lower half on. */
static void *map_anywhere(size_t size, int protection, int flags) {
  static _Atomic(uintptr_t) next;
  const uintptr_t from = (uintptr_t)1 << 45, end = (uintptr_t)1 << 47;
  uintptr_t at = atomic_load(&next);
  for (int tries = 0; tries < 64; tries++) {
    if (at < from || at > end - from) at = from + ((uintptr_t)&at & 0xffffffff000u);
    void *pages = mmap((void *)at, size, protection, flags, -1, 0);
    if (pages == MAP_FAILED) return NULL;
    if ((uintptr_t)pages <= end - size) {
      atomic_store(&next, (uintptr_t)pages + size);
      return pages;
    }
    (void)munmap(pages, size);
    at += ((uintptr_t)1 << 32) << (tries / 8);
  }
  return NULL;
}
#else
static void *map_anywhere(size_t size, int protection, int flags) {
  void *pages = mmap(NULL, size, protection, flags, -1, 0);
  return pages == MAP_FAILED ? NULL : pages;
}
#endif

void *lg_pages_map(size_t size) {
  if (LG_PAGES_REFUSED()) return NULL;
  return map_anywhere(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
}

/* munmap() in the middle of a merged mapping can fail with ENOMEM at vm.max_map_count; the pages at least go back. */
void lg_pages_unmap(void *pages, size_t size) {
  if (munmap(pages, size) != 0) lg_pages_discard(pages, size);
}

size_t lg_pages_to_reserve(size_t most) {
  const size_t least = (size_t)1024 * 1024;
  struct rlimit addresses;
  if (most <= least) return most;
  if (sizeof(void *) <= 4) return least;
  if (getrlimit(RLIMIT_AS, &addresses) != 0 || addresses.rlim_cur == RLIM_INFINITY) return most;
  size_t share = (size_t)addresses.rlim_cur / 256;
  if (share < least) return least;
  return share < most ? share : most;
}

void *lg_pages_reserve(size_t size) {
  if (LG_PAGES_REFUSED()) return NULL;
  return map_anywhere(size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
}

int lg_pages_commit(void *pages, size_t size) {
  if (LG_PAGES_REFUSED()) return -1;
  return mprotect(pages, size, PROT_READ | PROT_WRITE) == 0 ? 0 : -1;
}

/* A mapping put over the old one takes its pages away in the same step, so that nobody else can get the addresses. Refused
 * (vm.max_map_count), the pages at least go back. */
void lg_pages_uncommit(void *pages, size_t size) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  if (mmap(pages, size, PROT_NONE, flags, -1, 0) != MAP_FAILED) return;
  lg_pages_discard(pages, size);
  (void)mprotect(pages, size, PROT_NONE);
}

#if defined(__linux__)

int lg_pages_move(void *pages, size_t size, void *to) {
  return mremap(pages, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED;
}

/* The kernel moves whole page tables, 2 MiB at a step, where both places lie alike within these. MREMAP_DONTUNMAP leaves
 * the old place mapped: a hole there could be anybody's next mapping. It is refused before Linux 5.7. */
void *lg_pages_detach(void *pages, size_t size) {
  const uintptr_t unit = (uintptr_t)2 << 20;
  char *room = lg_pages_reserve(size + unit);
  if (room == NULL) return NULL;
  size_t before = ((uintptr_t)pages - (uintptr_t)room) & (unit - 1);
  char *to = room + before;
  int moved = mremap(pages, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) != MAP_FAILED;
  if (!moved) {
    (void)munmap(room, size + unit);
    return NULL;
  }
  if (before != 0) (void)munmap(room, before);
  if (before != unit) (void)munmap(to + size, unit - before);
  return to;
}

void *lg_pages_resize(void *pages, size_t old_size, size_t new_size) {
  if (LG_PAGES_REFUSED()) return NULL;
#if defined(__aarch64__)
  void *moved = mremap(pages, old_size, new_size, 0);
  if (moved != MAP_FAILED) return moved;
  void *to = map_anywhere(new_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE); /* as for every mapping */
  if (to == NULL) return NULL;
  moved = mremap(pages, old_size, new_size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  if (moved == MAP_FAILED) (void)munmap(to, new_size);
#else
  void *moved = mremap(pages, old_size, new_size, MREMAP_MAYMOVE);
#endif
  return moved == MAP_FAILED ? NULL : moved;
}

/* MADV_DONTNEED on Linux frees at once, so that the resident size falls; MADV_FREE would wait for pressure. */
void lg_pages_discard(void *pages, size_t size) { (void)madvise(pages, size, MADV_DONTNEED); }

/* EINVAL before Linux 5.14; any other failure will come again, as it always did, when the page is written. */
void lg_pages_prepare(void *pages, size_t size) { (void)madvise(pages, size, MADV_POPULATE_WRITE); }

#else

int lg_pages_move(void *pages, size_t size, void *to) {
  (void)pages;
  (void)size;
  (void)to;
  return 0;
}

void *lg_pages_detach(void *pages, size_t size) {
  (void)pages;
  (void)size;
  return NULL;
}

void lg_pages_prepare(void *pages, size_t size) {
  (void)pages;
  (void)size;
}

void *lg_pages_resize(void *pages, size_t old_size, size_t new_size) {
  (void)pages;
  (void)old_size;
  (void)new_size;
  return NULL;
}

#if defined(MADV_FREE_REUSABLE)
/* macOS: MADV_FREE_REUSABLE leaves the footprint at once, MADV_DONTNEED does nothing there. Without a later
 * MADV_FREE_REUSE pages are still usable, only the footprint is counted low. */
void lg_pages_discard(void *pages, size_t size) { (void)madvise(pages, size, MADV_FREE_REUSABLE); }
#elif defined(MADV_FREE)
void lg_pages_discard(void *pages, size_t size) { (void)madvise(pages, size, MADV_FREE); }
#else
void lg_pages_discard(void *pages, size_t size) { (void)madvise(pages, size, MADV_DONTNEED); }
#endif

#endif
