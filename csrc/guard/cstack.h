/* Bounds how deep callbacks and coroutines may nest on the C stack where Lua itself does not. Once per Lua version.
 *
 * Contract: only from C functions that a script called, on the run's thread; may raise a Lua error. PUC Lua counts
 * nested C calls and stops at 200 of them (5.1 starts anew in every coroutine); LuaJIT does not count. What is measured
 * is how close this frame is to the end of the thread's stack, so an error that unwinds needs no bookkeeping. */
#ifndef LG_CSTACK_H
#define LG_CSTACK_H

#include "poll.h"
#include "stackfloor.h"

#define LG_C_STACK_JIT ((uintptr_t)512 * 1024) /* bytes: some 250 nested callbacks */

#define LG_C_STACK_HOST ((size_t)2048 * 1024)
#define LG_C_STACK_OWN ((size_t)48 * 1024)

/* What a run needs of the thread's stack when it begins: what stackfloor.c keeps for Lua's own nesting is three quarters of
 * a small stack, and enough from 256 KiB on; the host's own frames are in that. */
#define LG_C_STACK_LEAST ((size_t)224 * 1024)

/* Where a run that begins in this frame must stop: state's stack_floor. LuaJIT throws by walking the C stack, at a price
 * that grows with the square of the depth (0.3 s for 3,000 callbacks, with no look at any deadline), so there a run gets
 * about as many levels as PUC Lua allows. */
static inline const char *lg_c_floor(void) {
  const char *floor = lg_stack_floor();
#if LG_C_CALLS_UNCOUNTED
  uintptr_t here = LG_FRAME_ADDRESS();
  if (here > LG_C_STACK_JIT && (uintptr_t)floor < here - LG_C_STACK_JIT) return (const char *)(here - LG_C_STACK_JIT);
#endif
  return floor;
}

/* Where a run that begins in this frame must stop calling host functions. They are Python, which goes by its recursion limit
 * alone: its thousand levels through C took half a MiB with __len__, up to two with sorted(). So they are left what is
 * left now, up to LG_C_STACK_HOST; but a script may always be LG_C_STACK_OWN deep where it calls one. */
static inline const char *lg_c_host_floor(void) {
  size_t left = lg_stack_left();
  const char *here = (const char *)LG_FRAME_ADDRESS();
  if (left == SIZE_MAX) return lg_stack_floor();
  return here - (left > LG_C_STACK_HOST + LG_C_STACK_OWN ? left - LG_C_STACK_HOST : LG_C_STACK_OWN);
}

/* Call this before calling back into Lua. */
static inline void lg_c_stack(lua_State *L) {
  char here = 0;
  if (&here < lg_state_of(L)->floors.lua) luaL_error(L, "C stack overflow");
}

/* Begin with this a function that a script may call, and that may call the script: a metamethod too. A script can make it the
 * handler of an error, and then it is called where no hook runs: of a run that is being ended, it must call nothing. */
static inline void lg_may_call_back(lua_State *L) {
  lg_poll(lg_state_of(L), L);
  lg_c_stack(L);
}

#endif
