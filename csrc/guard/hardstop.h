/* The hard stop: a run that does not end is left where it is, in the midst of Lua's code, and its state thrown away.
 *
 * Contract
 * - lg_stop_call() is called by the run's thread, and not again for the same state within it. Between its begin and its end
 *   the thread may be sent back to it at any instruction of Lua's text, and nowhere else: not in libc, not in our own code,
 *   not while lg_stop_forbid() is in force.
 * - After it has answered 1, the Lua state, with all that lies in its arena, is to be thrown away unseen.
 * - lg_stop_in_lua() and lg_stop_redirect() are for `fire` (tell.h): async-signal-safe, and called by a signal handler on the
 *   run's thread, or by another thread while that one is suspended.
 *
 * Why it is safe is said in ARCHITECTURE.md, "The hard stop". */
#ifndef LG_HARDSTOP_H
#define LG_HARDSTOP_H

#include <stddef.h>
#include <stdint.h>

#include "machine.h"

/* setjmp() saves and mangles all that the ABI wants kept, which takes 80 instructions for each run; the compiler's own keeps three
 * words, and takes ten. Under AddressSanitizer the C library's is used, which libasan knows, and where a compiler has none.
 * On Windows the C library's longjmp() unwinds the stack, which is not to be looked at here, unless the frame names no frame. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && !defined(LG_C_SETJMP)
typedef void *lg_frame[5];
#define LG_SET_FRAME(frame) __builtin_setjmp(frame)
#define LG_JUMP_TO(frame) __builtin_longjmp((frame), 1)
#else
#include <setjmp.h>
typedef jmp_buf lg_frame;
#if defined(_MSC_VER)
#define LG_SET_FRAME(frame) _setjmp(frame)
#define LG_JUMP_TO(frame) (((_JUMP_BUFFER *)(frame))->Frame = 0, longjmp((frame), 1))
#elif defined(_WIN32)
#define LG_SET_FRAME(frame) _setjmp((frame), NULL)
#define LG_JUMP_TO(frame) longjmp((frame), 1)
#else
#define LG_SET_FRAME(frame) _setjmp(frame)
#define LG_JUMP_TO(frame) _longjmp((frame), 1)
#endif
#endif

/* A call that the thread can be sent back to. */
struct lg_stop {
  lg_frame frame;
  uintptr_t stack;            /* all below it is used by nobody once the call is given up */
  const struct lg_text *text; /* Lua's; NULL while the state may not be thrown away */
  struct lg_stop **inside;    /* the call that its thread executes Lua in, or NULL there; see lg_stop_here() */
  int64_t told_ns;            /* CPU time of the thread when the run had first been told to end; 0 before */
};

/* The run that `stop` is for is this thread's: before it can be told anything. */
void lg_stop_here(struct lg_stop *stop);

/* Call fn(ud). 0 when it returned, 1 when it was given up. */
int lg_stop_call(struct lg_stop *stop, void (*fn)(void *ud), void *ud);

/* Around every call of the host's, the wait for the GIL included: nothing can be given up meanwhile. Returns what
 * lg_stop_allow() is to be given. Calls of other runs on this thread in between nest, and greenlets may end them in any order:
 * each C stack keeps its own. */
struct lg_stop *lg_stop_forbid(void);
void lg_stop_allow(struct lg_stop *before);

/* Whether the thread was interrupted at an instruction of Lua's, of this run, which holds nothing that
 * the rest of the process needs. `context` may be NULL. */
int lg_stop_in_lua(const struct lg_stop *stop, const void *context);

/* Where that has answered 1: let the interrupted thread go on in lg_stop_call(), which then answers 1. */
void lg_stop_redirect(const struct lg_stop *stop, void *context);

/* Find Lua's text: from own[0] up to own[1], where the module says so itself, else by one of Lua's functions. NULL, or why there
 * is no hard stop with it. */
const char *lg_stop_find_text(const void *lua_function, const void *const own[2], struct lg_text *text);

#endif
