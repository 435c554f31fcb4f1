/* What the hard stop has to know of the machine: where code lies, and where an interrupted thread is to go on. One file per
 * system; machine_none.c where nothing is known.
 *
 * Contract: lg_text_find() on any thread, not from a signal handler. The others only from `fire` (tell.h) with the context it was
 * given: in a handler with SA_SIGINFO that the kernel called, or for a thread that is suspended; async-signal-safe. */
#ifndef LG_MACHINE_H
#define LG_MACHINE_H

#include <stdint.h>

/* Addresses of code: from `begin` up to `end`. */
struct lg_text {
  uintptr_t begin, end;
};

static inline int lg_text_holds(const struct lg_text *text, uintptr_t address) {
  return address >= text->begin && address < text->end;
}

/* NULL, or why no thread can be sent elsewhere here: an unknown CPU, a sanitizer that calls handlers later, with an old context, a
 * process whose return addresses the CPU compares. */
const char *lg_machine_refuses(void);

/* The executable segment of the loaded module that `address` lies in, or the section of Lua's own code there. 1, or 0 where there
 * is none such. */
int lg_text_find(const void *address, struct lg_text *text);

/* The instruction at which the thread was interrupted. */
uintptr_t lg_context_pc(const void *context);

/* Call fn(ud) on the interrupted thread and its own stack, as if the instruction had called it: a handler may be on an alternate
 * stack, which is small, and where the next signal would overwrite it if it left it in use. It has been called when this returns,
 * or, of a suspended thread, will be when that is resumed. */
void lg_context_call(void *context, void (*fn)(void *ud), void *ud);

/* Bytes below its stack pointer that a function may use (the ABIs of x86-64 and arm64: 128). */
#define LG_RED_ZONE ((uintptr_t)256)

/* Where the interrupted thread's stack ends. */
uintptr_t lg_context_sp(const void *context);

/* Let the thread go on at `to`, as if it had just been called, with its stack below `stack`, when `fire` has returned. */
void lg_context_redirect(void *context, void (*to)(void), uintptr_t stack);

#endif
