/* Windows: the watchdog suspends the run's thread, calls `fire` itself, and lets the thread go on, elsewhere if `fire` wants it.
 *
 * While a thread is suspended nothing may be waited for that it could hold: no allocation, no lock of the C library or the
 * loader's, no output. Between SuspendThread() and ResumeThread() stand the two calls that read and set registers, the clocks of
 * cputime.h, and what `fire` does, which a signal handler may do elsewhere.
 *
 * SuspendThread() returns before the thread stands; GetThreadContext() waits for it. A thread within a system call is shown where
 * that will return to, which is no code of Lua's. */
#include "tell.h"

#include <assert.h>
#include <string.h>

#include "../os/library.h"
#include "../os/refusal_windows.h"
#include "cputime.h"
#include "lg_status.h"
#include "machine_windows.h"

static_assert(sizeof(CONTEXT) <= sizeof((struct lg_told *)NULL)->saved, "struct lg_told has room for a CONTEXT");

static DWORD slot = FLS_OUT_OF_INDEXES; /* its callback is how the end of a thread is noticed */
static BOOLEAN(NTAPI *exits)(void);     /* RtlDllShutdownInProgress of ntdll; both written under the watchdog's mutex */
static LG_THREAD_LOCAL HANDLE here;
static LG_THREAD_LOCAL int exit_noted;

HANDLE lg_thread_here(void) {
  const DWORD rights = THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT | THREAD_SET_CONTEXT | THREAD_QUERY_INFORMATION;
  if (here == NULL &&
      !DuplicateHandle(GetCurrentProcess(), GetCurrentThread(), GetCurrentProcess(), &here, rights, FALSE, 0))
    here = NULL;
  return here;
}

/* A thread ends, perhaps in the midst of its runs: when an interpreter shuts down, or ExitThread() is called. Where the process
 * ends, the other threads are gone already, whatever they held. (A slot's value is a fiber's, too: of a thread that has fibers, the
 * one that ran a script first.) */
static void WINAPI thread_exits(void *handle) {
  if (exits != NULL && exits()) return;
  lg_watch_leave_runs();
  (void)CloseHandle(handle);
  here = NULL;
  exit_noted = 0;
}

/* Have that called at this thread's end. 0 or an error number. */
static int note_exit(void) {
  if (slot == FLS_OUT_OF_INDEXES) {
    const void *code = lg_library_code("RtlDllShutdownInProgress");
    memcpy(&exits, &code, sizeof exits); /* ISO C has no cast for this */
    slot = FlsAlloc(thread_exits);
  }
  if (slot == FLS_OUT_OF_INDEXES || !FlsSetValue(slot, here)) return lg_refusal();
  exit_noted = 1;
  return 0;
}

int lg_tell_enter(struct lg_watch *w) {
  HANDLE thread = lg_thread_here();
  if (thread == NULL) return lg_refusal();
  int rc = exit_noted ? 0 : note_exit();
  if (rc != 0) return rc;
  w->told.thread = thread;
  w->told.id = GetCurrentThreadId();
  return 0;
}

/* The thread stands still. Where `fire` wanted it elsewhere and the system refuses that, the flag says the same. */
static void tell_suspended(struct lg_watch *w, int reason) {
  struct lg_held held = {.registers = {.ContextFlags = CONTEXT_FULL}, .saved = (CONTEXT *)(void *)w->told.saved};
  if (!GetThreadContext(w->told.thread, &held.registers)) {
    w->calls->flag(w, reason);
    return;
  }
  if (atomic_load(&w->away)) { /* meanwhile; it looks when its host function returns */
    if (reason == LG_WATCH_TICK) atomic_store(&w->owed, 1);
    return;
  }
  w->calls->fire(w, reason, &held);
  if (held.changed && !SetThreadContext(w->told.thread, &held.registers)) w->calls->flag(w, reason);
}

/* A thread that cannot be suspended (the system refuses it for one that others have suspended 127 times) looks at its flag in
 * library functions; it is tried again at the next time. */
void lg_tell(struct lg_watch *w) {
  int reason = atomic_load(&w->reason);
  int tick = atomic_exchange(&w->tick, 0);
  if (tick && reason == 0) reason = LG_WATCH_TICK;
  if (reason == 0) return;
  if (w->told.id == GetCurrentThreadId()) {
    w->calls->fire(w, reason, NULL);
    return;
  }
  if (SuspendThread(w->told.thread) == (DWORD)-1) {
    w->calls->flag(w, reason);
    return;
  }
  tell_suspended(w, reason);
  (void)ResumeThread(w->told.thread);
}

void lg_tell_settle(void) {} /* a thread that runs has been told */

int64_t lg_tell_cpu_ns(const struct lg_watch *w) { return lg_cpu_clock_ns((uint64_t)(uintptr_t)w->told.thread); }

int lg_tell_use_signal(int signal_number) {
  (void)signal_number;
  return LG_UNSUPPORTED;
}

/* Nothing keeps a thread from being told, but what it executes. */
void lg_watch_open(void) {}

void lg_watch_shut(void) {}
