/* GetCurrentThreadStackLimits reads the thread's own block of the system: no call. */
#include "stackfloor.h"

#include <stdint.h>

#include "../os/compiler.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/* What the system keeps at the lower end: the last page, which is never there, the guard page above it, and what
 * SetThreadStackGuarantee() was told (one page if nothing). A stack that grows into them ends the process. */
static uintptr_t lowest(void) {
  enum { PAGES_OF_THE_SYSTEM = 4 };
  ULONG_PTR low = 0;
  ULONG_PTR high = 0;
  ULONG guaranteed = 0;
  GetCurrentThreadStackLimits(&low, &high);
  (void)SetThreadStackGuarantee(&guaranteed); /* asks: 0 changes nothing */
  return (uintptr_t)low + (uintptr_t)PAGES_OF_THE_SYSTEM * 4096 + guaranteed;
}

const char *lg_stack_floor(void) {
  ULONG_PTR low = 0;
  ULONG_PTR high = 0;
  GetCurrentThreadStackLimits(&low, &high);
  return (const char *)(lowest() + lg_stack_reserve((size_t)(high - low)));
}

size_t lg_stack_left(void) {
  uintptr_t here = LG_FRAME_ADDRESS();
  uintptr_t low = lowest();
  return here < low ? 0 : (size_t)(here - low);
}
