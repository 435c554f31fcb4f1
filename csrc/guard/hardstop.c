#define _GNU_SOURCE /* _setjmp */
#include "hardstop.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../meter/arena_slab.h"
#include "../os/compiler.h"
#include "../os/library.h"

/* The call of this thread that executes Lua now; NULL in a host function, and where no Lua runs. */
static LG_SIGNAL_LOCAL struct lg_stop *inside;

/* Where the frame of a function called here begins, and so where the caller's ends. */
LG_NOINLINE static uintptr_t stack_here(void) { return LG_FRAME_ADDRESS(); }

void lg_stop_here(struct lg_stop *stop) { stop->inside = &inside; }

LG_NOINLINE int lg_stop_call(struct lg_stop *stop, void (*fn)(void *ud), void *ud) {
  struct lg_stop *volatile before = inside;
  stop->stack = stack_here();
  if (LG_SET_FRAME(stop->frame) != 0) {
    inside = before;
    return 1;
  }
  inside = stop;
  fn(ud);
  inside = before;
  return 0;
}

struct lg_stop *lg_stop_forbid(void) {
  struct lg_stop *before = inside;
  inside = NULL;
  return before;
}

void lg_stop_allow(struct lg_stop *before) { inside = before; }

int lg_stop_in_lua(const struct lg_stop *stop, const void *context) {
  return *stop->inside == stop && stop->text != NULL && context != NULL &&
         lg_text_holds(stop->text, lg_context_pc(context));
}

/* Entered on the run's own stack, instead of the instruction that was interrupted. What that code had on the x87 stack would make
 * the next user of it compute NaNs; the control word stays as the host set it. (MSVC's code has nothing on it.) */
LG_NORETURN static void land(void) {
#if !defined(_MSC_VER) && (defined(__x86_64__) || defined(__i386__))
  uint16_t control = 0;
  /* NOLINTNEXTLINE(portability-no-assembler): C has no words for the x87 stack */
  __asm__ volatile("cld\n\tfnstcw %0\n\tfninit\n\tfldcw %0" : "+m"(control));
#endif
  LG_JUMP_TO(inside->frame);
}

/* AddressSanitizer notes in a frame's shadow what may not be touched. Of frames that are given up it would stay there, for
 * whoever has that stack next. */
static void unpoison(uintptr_t begin, uintptr_t end) {
  if (begin < end) LG_UNPOISON((void *)begin, end - begin);
}

void lg_stop_redirect(const struct lg_stop *stop, void *context) {
  unpoison(lg_context_sp(context), stop->stack);
  lg_context_redirect(context, land, stop->stack - LG_RED_ZONE);
}

/* The functions' addresses, which C keeps apart from objects'. */
#define LG_CODE(f) ((const void *)(uintptr_t)(f))

const char *lg_stop_find_text(const void *lua_function, const void *const own[2], struct lg_text *text) {
  *text = (struct lg_text){0, 0};
  if (lg_machine_refuses() != NULL) return lg_machine_refuses();
  if (own != NULL)
    *text = (struct lg_text){(uintptr_t)own[0], (uintptr_t)own[1]};
  else if (!lg_text_find(lua_function, text))
    return "Lua's module does not say where its code lies";
  if (!lg_text_holds(text, (uintptr_t)lua_function)) return "Lua's module says wrongly where its code lies";
  const struct {
    const char *what;
    const void *code;
  } others[] = {
      {"malloc", LG_CODE(malloc)},
      {"snprintf", LG_CODE(snprintf)},
      {"strtod", LG_CODE(strtod)},
      {"memcpy", LG_CODE(memcpy)},
      {"the stack unwinder", lg_library_code("_Unwind_RaiseException")},
      {"the stack unwinder", lg_library_code("RtlUnwindEx")},
      {"Python", lg_library_code("PyObject_Call")},
      {"luagauge", LG_CODE(lg_stop_call)},
  };
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    if (others[i].code == NULL || !lg_text_holds(text, (uintptr_t)others[i].code)) continue;
    static char why[96];
    (void)snprintf(why, sizeof why, "Lua's code lies in one module with %s", others[i].what);
    text->begin = text->end = 0;
    return why;
  }
  return NULL;
}
