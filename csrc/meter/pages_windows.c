/* Windows: VirtualAlloc. Addresses come aligned to 64 KiB; a mapping can only be freed whole. */
#include "pages.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#ifdef LG_TEST_FAULTS
int (*lg_pages_fault)(void) = NULL;
#endif

void *lg_pages_map(size_t size) {
  if (LG_PAGES_REFUSED()) return NULL;
  return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void lg_pages_unmap(void *pages, size_t size) {
  (void)size;
  (void)VirtualFree(pages, 0, MEM_RELEASE);
}

void *lg_pages_resize(void *pages, size_t old_size, size_t new_size) {
  (void)pages;
  (void)old_size;
  (void)new_size;
  return NULL;
}

/* MEM_RESET drops the contents without giving up the commitment, so that a later write cannot fail; unlocking pages
 * that are not locked takes them out of the working set at once (documented at VirtualUnlock). */
void lg_pages_discard(void *pages, size_t size) {
  (void)VirtualAlloc(pages, size, MEM_RESET, PAGE_READWRITE);
  (void)VirtualUnlock(pages, size);
}

void lg_pages_prepare(void *pages, size_t size) {
  (void)pages;
  (void)size;
}

size_t lg_pages_to_reserve(size_t most) {
  const size_t least = (size_t)1024 * 1024;
  return most > least && sizeof(void *) <= 4 ? least : most;
}

void *lg_pages_reserve(size_t size) {
  if (LG_PAGES_REFUSED()) return NULL;
  return VirtualAlloc(NULL, size, MEM_RESERVE, PAGE_NOACCESS);
}

int lg_pages_commit(void *pages, size_t size) {
  if (LG_PAGES_REFUSED()) return -1;
  return VirtualAlloc(pages, size, MEM_COMMIT, PAGE_READWRITE) != NULL ? 0 : -1;
}

void lg_pages_uncommit(void *pages, size_t size) { (void)VirtualFree(pages, size, MEM_DECOMMIT); }

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
