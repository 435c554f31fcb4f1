/* How far the C stack of this thread may grow: Lua's own bounds do not cover every way to recurse through C (coroutines
 * inside coroutines in 5.1 and LuaJIT, C functions that call back in LuaJIT).
 *
 * Contract: any thread; not signal-safe. The first call on a thread asks the OS (tens of microseconds on the main
 * thread), later ones read a thread-local. */
#ifndef LG_STACKFLOOR_H
#define LG_STACKFLOOR_H

#include <stddef.h>

/* Below the floor there must be room for what Lua itself still nests there without asking: 200 calls of pcall (5.1 counts
 * anew in each coroutine; over 1 KiB each) or 200 levels of the compiler, then an error message, a traceback and a signal
 * frame (AVX-512 state: 11 KiB). */
static inline size_t lg_stack_reserve(size_t size) { return size / 4 * 3 < 393216 ? size / 4 * 3 : 393216; }

/* How deep the C stack of a run in progress may go (cstack.h); NULL when not known. */
struct lg_stack_floors {
  const char *lua;
  const char *host; /* where the run calls a host function, which needs a stack of its own */
};

/* The lowest address a script's run may reach on this thread's stack; what is below is kept for error handling. Where the
 * OS cannot say, 256 KiB below this call's frame. Stacks grow downward on every platform supported. */
const char *lg_stack_floor(void);

/* Bytes between this call's frame and the end of this thread's stack; SIZE_MAX where the OS cannot say. */
size_t lg_stack_left(void);

#endif
