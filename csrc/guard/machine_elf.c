/* Linux and FreeBSD. dl_iterate_phdr(3) names every loaded module's segments; where registers lie in a context is the
 * kernel's ABI (ucontext(3), sys/ucontext.h). */
#define _GNU_SOURCE
#include "machine.h"

#include <link.h>
#include <stddef.h>
#include <string.h>
#include <ucontext.h>

#if defined(__SANITIZE_THREAD__)
#define LG_UNKNOWN_MACHINE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LG_UNKNOWN_MACHINE 1
#endif
#endif

/* Places: the program counter and the stack pointer. BELOW: what a called function finds between the pointer and a multiple
 * of 16, the return address where the CPU pushes one. */
#if defined(__linux__) && defined(__x86_64__)
#define PC(c) ((c)->uc_mcontext.gregs[REG_RIP])
#define SP(c) ((c)->uc_mcontext.gregs[REG_RSP])
#define BELOW 8
#elif defined(__linux__) && defined(__i386__)
#define PC(c) ((c)->uc_mcontext.gregs[REG_EIP])
#define SP(c) ((c)->uc_mcontext.gregs[REG_ESP])
#define BELOW 4
#elif defined(__linux__) && defined(__aarch64__)
#define PC(c) ((c)->uc_mcontext.pc)
#define SP(c) ((c)->uc_mcontext.sp)
#define BELOW 0
#define BRANCH_TYPE ((uint64_t)3 << 10) /* PSTATE.BTYPE: of the branch that was interrupted, if it was one */
#elif defined(__FreeBSD__) && defined(__x86_64__)
#define PC(c) ((c)->uc_mcontext.mc_rip)
#define SP(c) ((c)->uc_mcontext.mc_rsp)
#define BELOW 8
#else
#define LG_UNKNOWN_MACHINE 1
#endif

#ifdef LG_UNKNOWN_MACHINE
#include "machine_none.c"
#else

const char *lg_machine_refuses(void) { return NULL; }

struct search {
  uintptr_t address;
  struct lg_text *text;
};

static int look_at_module(struct dl_phdr_info *info, size_t size, void *data) {
  const struct search *search = data;
  (void)size;
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    uintptr_t begin = (uintptr_t)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    if (info->dlpi_phdr[i].p_type != PT_LOAD || (info->dlpi_phdr[i].p_flags & PF_X) == 0) continue;
    if (search->address - begin >= info->dlpi_phdr[i].p_memsz) continue;
    search->text->begin = begin;
    search->text->end = begin + info->dlpi_phdr[i].p_memsz;
    return 1;
  }
  return 0;
}

int lg_text_find(const void *address, struct lg_text *text) {
  struct search search = {(uintptr_t)address, text};
  return dl_iterate_phdr(look_at_module, &search);
}

uintptr_t lg_context_pc(const void *context) { return (uintptr_t)PC((const ucontext_t *)context); }

uintptr_t lg_context_sp(const void *context) { return (uintptr_t)SP((const ucontext_t *)context); }

#include "machine_call.h"

void lg_context_redirect(void *context, void (*to)(void), uintptr_t stack) {
  ucontext_t *c = context;
  uintptr_t address = 0;
  uintptr_t sp = (stack & ~(uintptr_t)15) - BELOW;
  memcpy(&address, &to, sizeof address);
  memcpy(&PC(c), &address, sizeof address);
  memcpy(&SP(c), &sp, sizeof sp);
#ifdef BRANCH_TYPE
  c->uc_mcontext.pstate &= ~BRANCH_TYPE;
#endif
}

#endif
