/* lg_context_call() for systems with sigaltstack(2). Included by one file per system, after lg_context_sp(). */
#include <signal.h>
#include <stdint.h>

#define LG_FRAME_MOST                                                                                                  \
  ((uintptr_t)64 * 1024) /* of a signal frame with all that a CPU may have to save, and the handler's */

/* Call fn(ud) with another stack pointer, a multiple of 16. */
#if defined(__x86_64__)
static void switch_stack(void (*fn)(void *ud), void *ud, uintptr_t sp) {
  /* NOLINTNEXTLINE(portability-no-assembler): C has no word for the stack pointer */
  __asm__ volatile("movq %%rsp, %%rbx\n\t"
                   "movq %[sp], %%rsp\n\t"
                   "callq *%[fn]\n\t"
                   "movq %%rbx, %%rsp"
                   : "+D"(ud), [fn] "+r"(fn), [sp] "+r"(sp)
                   :
                   : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0", "xmm1",
                     "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                     "xmm14", "xmm15");
}
#elif defined(__aarch64__)
#ifdef __APPLE__
#define LG_PLATFORM_REGISTER /* x18 belongs to the system, and functions leave it alone */
#else
#define LG_PLATFORM_REGISTER "x18",
#endif
static void switch_stack(void (*fn)(void *ud), void *ud, uintptr_t sp) {
  register void *x0 __asm__("x0") = ud;
  __asm__ volatile("mov x19, sp\n\t"
                   "mov sp, %[sp]\n\t"
                   "blr %[fn]\n\t"
                   "mov sp, x19"
                   : "+r"(x0), [fn] "+r"(fn), [sp] "+r"(sp)
                   :
                   : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                     "x16", "x17", LG_PLATFORM_REGISTER "x19", "x30", "memory", "cc", "v0", "v1", "v2", "v3", "v4",
                     "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19",
                     "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}
#else
static void switch_stack(void (*fn)(void *ud), void *ud, uintptr_t sp) {
  (void)fn; /* not called: what it is for has to wait */
  (void)ud;
  (void)sp;
}
#endif

struct call {
  void (*fn)(void *ud);
  void *ud;
};

/* On the thread's own stack. The alternate one, which the handler's frame is on, is not to be used by other signals; the system
 * lets it be changed, now that nothing runs on it. */
static void call_apart(void *data) {
  const struct call *call = data;
  const stack_t none = {.ss_flags = SS_DISABLE};
  stack_t alternate;
  int changed = sigaltstack(&none, &alternate) == 0;
  call->fn(call->ud);
  if (changed) (void)sigaltstack(&alternate, NULL);
}

void lg_context_call(void *context, void (*fn)(void *ud), void *ud) {
  uintptr_t sp = lg_context_sp(context);
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  struct call call = {fn, ud};
  if (here < sp && sp - here < LG_FRAME_MOST)
    fn(ud); /* the handler is on the thread's own stack */
  else
    switch_stack(call_apart, &call, (sp - LG_RED_ZONE) & ~(uintptr_t)15);
}
