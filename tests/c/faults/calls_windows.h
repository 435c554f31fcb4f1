/* In front of the functions of Windows that the core calls; run.py links each with -Wl,--wrap. */
#ifndef LG_FAULTS_CALLS_WINDOWS_H
#define LG_FAULTS_CALLS_WINDOWS_H

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <process.h>
#include <stdint.h>

#include "faults/refusing.h"

static int refused(void) {
  if (!refuse()) return 0;
  SetLastError(ERROR_NO_SYSTEM_RESOURCES);
  return 1;
}

/* One function that answers `bad` for good, whatever the others do. */
static atomic_int never;
enum { NOTHING, SUSPENDING, READING, SETTING };

/* Calls go through pointers that the linker makes. */
#define WRAP(type, call, name, bad, which, parameters, arguments)                                                      \
  extern type(call *const __real___imp_##name) parameters;                                                             \
  static type call refusing_##name parameters {                                                                        \
    if (refused() || ((which) != NOTHING && atomic_load(&never) == (which))) return (bad);                             \
    return __real___imp_##name arguments;                                                                              \
  }                                                                                                                    \
  extern type(call *const __wrap___imp_##name) parameters;                                                             \
  type(call *const __wrap___imp_##name) parameters = refusing_##name;

WRAP(HANDLE, WINAPI, CreateEventW, NULL, NOTHING, (LPSECURITY_ATTRIBUTES s, BOOL m, BOOL i, LPCWSTR n), (s, m, i, n))
WRAP(HANDLE, WINAPI, CreateWaitableTimerExW, NULL, NOTHING, (LPSECURITY_ATTRIBUTES s, LPCWSTR n, DWORD f, DWORD a),
     (s, n, f, a))
WRAP(BOOL, WINAPI, SetWaitableTimer, FALSE, NOTHING,
     (HANDLE t, const LARGE_INTEGER *d, LONG p, PTIMERAPCROUTINE r, LPVOID a, BOOL w), (t, d, p, r, a, w))
WRAP(BOOL, WINAPI, DuplicateHandle, FALSE, NOTHING,
     (HANDLE p, HANDLE h, HANDLE q, LPHANDLE t, DWORD a, BOOL i, DWORD o), (p, h, q, t, a, i, o))
WRAP(DWORD, WINAPI, FlsAlloc, FLS_OUT_OF_INDEXES, NOTHING, (PFLS_CALLBACK_FUNCTION f), (f))
WRAP(BOOL, WINAPI, FlsSetValue, FALSE, NOTHING, (DWORD i, PVOID p), (i, p))
WRAP(DWORD, WINAPI, SuspendThread, (DWORD)-1, SUSPENDING, (HANDLE t), (t))
WRAP(BOOL, WINAPI, GetThreadContext, FALSE, READING, (HANDLE t, LPCONTEXT c), (t, c))
WRAP(BOOL, WINAPI, SetThreadContext, FALSE, SETTING, (HANDLE t, const CONTEXT *c), (t, c))
WRAP(BOOL, WINAPI, GetThreadTimes, FALSE, NOTHING, (HANDLE t, LPFILETIME a, LPFILETIME b, LPFILETIME c, LPFILETIME d),
     (t, a, b, c, d))
WRAP(LPVOID, WINAPI, VirtualAlloc, NULL, NOTHING, (LPVOID p, SIZE_T n, DWORD t, DWORD a), (p, n, t, a))
WRAP(uintptr_t, __cdecl, _beginthreadex, 0, NOTHING,
     (void *s, unsigned n, unsigned(__stdcall *f)(void *), void *p, unsigned g, unsigned *i), (s, n, f, p, g, i))

#endif
