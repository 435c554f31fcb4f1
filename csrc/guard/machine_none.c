/* A machine of which nothing is known: there is no hard stop. */
#include "machine.h"

const char *lg_machine_refuses(void) { return "where a thread is cannot be read on this CPU, or in this build"; }

int lg_text_find(const void *address, struct lg_text *text) {
  (void)address;
  (void)text;
  return 0;
}

uintptr_t lg_context_pc(const void *context) {
  (void)context;
  return 0;
}

uintptr_t lg_context_sp(const void *context) {
  (void)context;
  return 0;
}

void lg_context_call(void *context, void (*fn)(void *ud), void *ud) {
  (void)context;
  (void)fn;
  (void)ud;
}

void lg_context_redirect(void *context, void (*to)(void), uintptr_t stack) {
  (void)context;
  (void)to;
  (void)stack;
}
