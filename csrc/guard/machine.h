/* What the hard stop has to know of the machine: where code lies, and where an interrupted thread is to go on. One file per
 * system; machine_none.c where nothing is known.
 *
 * Contract: lg_text_find() on any thread, not from a signal handler. lg_context_pc() and lg_context_redirect() only from a
 * handler with SA_SIGINFO that the kernel called, with the context it was given; async-signal-safe. */
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

/* The executable segment of the loaded module that `address` lies in. 1, or 0 where this system or this build cannot say:
 * an unknown CPU, or a sanitizer that calls handlers later, with an old context. */
int lg_text_find(const void *address, struct lg_text *text);

/* The instruction at which the thread was interrupted. */
uintptr_t lg_context_pc(const void *context);

/* The stack pointer at that instruction. */
uintptr_t lg_context_sp(const void *context);

/* Let the thread go on at `to`, as if it had just been called, with its stack below `stack`, when the handler returns. */
void lg_context_redirect(void *context, void (*to)(void), uintptr_t stack);

#endif
