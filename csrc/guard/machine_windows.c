/* Windows on x86-64 and arm64. A module's sections are listed in its header (IMAGE_SECTION_HEADER, the PE format's
 * specification); registers lie in a CONTEXT (winnt.h). */
#include "machine.h"

#include <string.h>

#include "../os/compiler.h"
#include "machine_windows.h"

/* Lua's own code is in a section of its own in the modules that the wheel carries. An ordinary .text may hold parts of a C runtime,
 * which take locks. */
static const char lua_section[IMAGE_SIZEOF_SHORT_NAME + 1] = ".luatext";

/* A shadow stack has the return addresses of what is called (PROCESS_MITIGATION_USER_SHADOW_STACK_POLICY). What a thread that was
 * sent elsewhere returns to is not among them, and the system ends the process. */
const char *lg_machine_refuses(void) {
  PROCESS_MITIGATION_USER_SHADOW_STACK_POLICY policy = {0};
  if (!GetProcessMitigationPolicy(GetCurrentProcess(), ProcessUserShadowStackPolicy, &policy, sizeof policy))
    return NULL; /* a Windows without */
  return policy.EnableUserShadowStack ? "this process has shadow stacks, which compare return addresses" : NULL;
}

static const IMAGE_NT_HEADERS *headers_of(const unsigned char *module) {
  IMAGE_DOS_HEADER dos;
  memcpy(&dos, module, sizeof dos);
  return (const IMAGE_NT_HEADERS *)(const void *)(module + dos.e_lfanew);
}

int lg_text_find(const void *address, struct lg_text *text) {
  HMODULE module = NULL;
  const DWORD how = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  if (!GetModuleHandleExW(how, (LPCWSTR)address, &module)) return 0;
  const IMAGE_NT_HEADERS *headers = headers_of((const unsigned char *)module);
  const IMAGE_SECTION_HEADER *section = IMAGE_FIRST_SECTION(headers);
  for (unsigned i = 0; i < headers->FileHeader.NumberOfSections; i++, section++) {
    if (memcmp(section->Name, lua_section, IMAGE_SIZEOF_SHORT_NAME) != 0) continue;
    text->begin = (uintptr_t)module + section->VirtualAddress;
    text->end = text->begin + section->Misc.VirtualSize;
    return lg_text_holds(text, (uintptr_t)address);
  }
  return 0;
}

/* Places, and what a called function finds between the stack pointer and a multiple of 16. */
#if defined(_M_ARM64) || defined(__aarch64__)
#define PC(c) ((c)->Pc)
#define SP(c) ((c)->Sp)
#define BELOW 0
#define ARGUMENTS(c, one, two, three) ((c)->X0 = (one), (c)->X1 = (two), (c)->X2 = (three))
#else
#define PC(c) ((c)->Rip)
#define SP(c) ((c)->Rsp)
#define BELOW 8
#define ARGUMENTS(c, one, two, three) ((c)->Rcx = (one), (c)->Rdx = (two), (c)->R8 = (three))
#endif

uintptr_t lg_context_pc(const void *context) { return (uintptr_t)PC(&((const struct lg_held *)context)->registers); }

uintptr_t lg_context_sp(const void *context) { return (uintptr_t)SP(&((const struct lg_held *)context)->registers); }

static void go_on_at(struct lg_held *held, const void *to, size_t size, uintptr_t stack) {
  uintptr_t address = 0;
  memcpy(&address, to, size);
  PC(&held->registers) = address;
  SP(&held->registers) = (stack & ~(uintptr_t)15) - BELOW;
  held->changed = 1;
}

void lg_context_redirect(void *context, void (*to)(void), uintptr_t stack) { go_on_at(context, &to, sizeof to, stack); }

/* On the run's thread. It goes on where it was, with every register as it was; but for the upper halves of AVX registers, which
 * code that is compiled for every x86-64 does not use. */
LG_NORETURN static void call_and_return(CONTEXT *saved, void (*fn)(void *ud), void *ud) {
  fn(ud);
  for (;;) RtlRestoreContext(saved, NULL);
}

void lg_context_call(void *context, void (*fn)(void *ud), void *ud) {
  struct lg_held *held = context;
  void (*const to)(CONTEXT *, void (*)(void *), void *) = call_and_return;
  uintptr_t function = 0;
  memcpy(&function, &fn, sizeof fn);
  *held->saved = held->registers;
  go_on_at(held, &to, sizeof to, lg_context_sp(context) - LG_RED_ZONE);
  ARGUMENTS(&held->registers, (uintptr_t)held->saved, function, (uintptr_t)ud);
}
