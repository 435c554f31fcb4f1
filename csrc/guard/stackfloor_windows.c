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

/* As on other systems (stackfloor_posix.c): what Lua nests without asking, an error message and a traceback. */
const char *lg_stack_floor(void) {
  ULONG_PTR low = 0;
  ULONG_PTR high = 0;
  GetCurrentThreadStackLimits(&low, &high);
  size_t size = (size_t)(high - low);
  return (const char *)(lowest() + (size / 4 * 3 < 393216 ? size / 4 * 3 : 393216));
}

size_t lg_stack_left(void) {
  uintptr_t here = LG_FRAME_ADDRESS();
  uintptr_t low = lowest();
  return here < low ? 0 : (size_t)(here - low);
}
