/* macOS. A module's code is its __TEXT segment (mach-o/loader.h); registers lie in a context's __ss
 * (mach/arm/_structs.h, mach/i386/_structs.h). */
#define _DARWIN_C_SOURCE
#include "machine.h"

#include <dlfcn.h>
#include <mach-o/getsect.h>
#include <mach-o/loader.h>
#include <string.h>
#include <sys/ucontext.h>

const char *lg_machine_refuses(void) { return NULL; }

int lg_text_find(const void *address, struct lg_text *text) {
  Dl_info info;
  unsigned long size = 0;
  if (dladdr(address, &info) == 0) return 0;
  const uint8_t *begin = getsectiondata((const struct mach_header_64 *)info.dli_fbase, "__TEXT", "__text", &size);
  if (begin == NULL) return 0;
  text->begin = (uintptr_t)begin;
  text->end = (uintptr_t)begin + size;
  return lg_text_holds(text, (uintptr_t)address);
}

#if defined(__arm64__)
uintptr_t lg_context_pc(const void *context) {
  return (uintptr_t)arm_thread_state64_get_pc(((const ucontext_t *)context)->uc_mcontext->__ss);
}

uintptr_t lg_context_sp(const void *context) {
  return (uintptr_t)arm_thread_state64_get_sp(((const ucontext_t *)context)->uc_mcontext->__ss);
}

void lg_context_redirect(void *context, void (*to)(void), uintptr_t stack) {
  ucontext_t *c = context;
  arm_thread_state64_set_pc_fptr(c->uc_mcontext->__ss, to);
  arm_thread_state64_set_sp(c->uc_mcontext->__ss, stack & ~(uintptr_t)15);
}
#else
uintptr_t lg_context_pc(const void *context) {
  return (uintptr_t)((const ucontext_t *)context)->uc_mcontext->__ss.__rip;
}

uintptr_t lg_context_sp(const void *context) {
  return (uintptr_t)((const ucontext_t *)context)->uc_mcontext->__ss.__rsp;
}

void lg_context_redirect(void *context, void (*to)(void), uintptr_t stack) {
  ucontext_t *c = context;
  uintptr_t address = 0;
  memcpy(&address, &to, sizeof address);
  c->uc_mcontext->__ss.__rip = address;
  c->uc_mcontext->__ss.__rsp = (stack & ~(uintptr_t)15) - 8;
}
#endif

#include "machine_call.h"
