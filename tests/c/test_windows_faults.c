/* Every call to Windows that the watchdog, what tells a thread, the clocks and the meter make fails in turn: once alone, and from
 * that one on; and, of those that a run needs again and again, for good. Nothing hangs, nothing crashes, the status is right, and
 * all is as good as new as soon as the system is. run.py links this with -Wl,--wrap for each function named below; each round is
 * a process of its own, since what is tested sets itself up once per process.
 *
 *   test_windows_faults [ROUND AT ON]   */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <process.h>
#include <stdint.h>
#include <stdlib.h>

#include "guard/cputime.h"
#include "guard/state.h"
#include "guard/watchdog.h"
#include "lg_status.h"
#include "lg_test.h"

enum { MILLISECOND = 1000000, PATIENCE_MS = 20000 };

/* --- the system --- */

static atomic_ulong calls, refusals;
static atomic_ulong fail_at; /* 0: none */
static atomic_int fail_on;   /* those after it too */

static int refuse(void) {
  unsigned long at = atomic_load(&fail_at);
  unsigned long n = atomic_fetch_add(&calls, 1) + 1;
  int yes = at != 0 && (n == at || (atomic_load(&fail_on) && n > at));
  if (yes) {
    atomic_fetch_add(&refusals, 1);
    SetLastError(ERROR_NO_SYSTEM_RESOURCES);
  }
  return yes;
}

static void begin_faults(unsigned long at, int on) {
  atomic_store(&calls, 0);
  atomic_store(&refusals, 0);
  atomic_store(&fail_on, on);
  atomic_store(&fail_at, at);
}

static unsigned long end_faults(void) {
  atomic_store(&fail_at, 0);
  return atomic_load(&calls);
}

/* One function that answers `bad` for good, whatever the others do. */
static atomic_int never;
enum { NOTHING, SUSPENDING, READING, SETTING };

/* Calls go through pointers that the linker makes. */
#define WRAP(type, call, name, bad, which, parameters, arguments)                                                      \
  extern type(call *const __real___imp_##name) parameters;                                                             \
  static type call refusing_##name parameters {                                                                        \
    if (refuse() || ((which) != NOTHING && atomic_load(&never) == (which))) return (bad);                              \
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

/* --- a run without Lua --- */

static void state_close(struct lg_state *st) { (void)st; }

static void state_arm(struct lg_state *st) { (void)st; }

static const struct lg_ops ops = {.instance = "none", .close = state_close, .arm = state_arm};

static struct lg_state *new_state(void) {
  static const char *const names[] = {"one", "two"};
  struct lg_state *st = lg_state_new(&ops, 2, names, 0, NULL);
  if (st == NULL) abort();
  return st;
}

/* Of the runs that begin: */
static int64_t tick_every_ns;
static const atomic_uint *moves;

static int begin(struct lg_state *st, int64_t timeout_ns, int64_t cpu_ns, int *os_error) {
  int64_t now = lg_now_ns();
  int64_t deadline = timeout_ns == 0 ? INT64_MAX : now + timeout_ns;
  const struct lg_watch_limits limits = {deadline, cpu_ns, tick_every_ns, 1, moves};
  *os_error = 0;
  atomic_store(&st->interrupt, LG_INT_NONE);
  lg_stop_here(&st->stop);
  st->stop.told_ns = 0;
  return lg_watch_begin(&st->watch, now, &limits, &lg_state_calls, os_error);
}

/* Until something ends the run. One that nothing ends is the hang that the patience is for. */
static int until_fired(struct lg_state *st) {
  while (atomic_load(&st->interrupt) == LG_INT_NONE) continue; /* CPU time */
  lg_watch_end(&st->watch);
  return atomic_load(&st->interrupt);
}

/* What every round ends with, when the system works again. */
static void check_usable(void) {
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK_INT(begin(st, 2 * MILLISECOND, 0, &os_error), LG_OK);
  CHECK_INT(until_fired(st), LG_INT_TIMEOUT);
  CHECK_INT(begin(st, 0, 0, &os_error), LG_OK);
  CHECK_INT(lg_state_interrupt(st, LG_INT_HOST), 1);
  CHECK_INT(until_fired(st), LG_INT_HOST);
  CHECK_INT(lg_state_interrupt(st, LG_INT_HOST), 0);
  CHECK_INT(lg_watch_active(), 0);
  lg_state_free(st);
}

/* --- the rounds; each returns how many calls it made while they could fail --- */

static void check_unwatched(struct lg_state *st, int status, int os_error) {
  CHECK_INT(status, LG_OS_ERROR);
  CHECK(os_error != 0 && atomic_load(&refusals) > 0);
  CHECK_INT(lg_watch_active(), 0);
  CHECK_INT(lg_state_interrupt(st, LG_INT_HOST), 0);
}

/* A run from the first on in a process, that its deadline ends. */
static unsigned long first_run(unsigned long at, int on) {
  int os_error = 0;
  struct lg_state *st = new_state();
  begin_faults(at, on);
  int status = begin(st, 5 * MILLISECOND, 3600 * (int64_t)1000 * MILLISECOND, &os_error);
  if (status == LG_OK) {
    int reason = until_fired(st);
    CHECK(reason == LG_INT_TIMEOUT || reason == LG_INT_CPU); /* the second: its clock could not be read */
  } else {
    check_unwatched(st, status, os_error);
  }
  unsigned long made = end_faults();
  lg_state_free(st);
  return made;
}

/* A run that its CPU time ends. */
static unsigned long cpu_run(unsigned long at, int on) {
  int os_error = 0;
  struct lg_state *st = new_state();
  begin_faults(at, on);
  int status = begin(st, 0, 2 * MILLISECOND, &os_error);
  if (status == LG_OK)
    CHECK_INT(until_fired(st), LG_INT_CPU);
  else
    check_unwatched(st, status, os_error);
  unsigned long made = end_faults();
  lg_state_free(st);
  return made;
}

/* A run whose count of instructions stands still while its thread computes. */
static unsigned long still_run(unsigned long at, int on) {
  static const atomic_uint count;
  int os_error = 0;
  struct lg_state *st = new_state();
  moves = &count;
  begin_faults(at, on);
  int status = begin(st, 0, 0, &os_error);
  if (status == LG_OK) {
    while (atomic_load(&st->interrupt) != LG_INT_STILL) continue; /* CPU time; it is asked in between */
    CHECK_INT(until_fired(st), LG_INT_STILL);
  } else {
    check_unwatched(st, status, os_error);
  }
  unsigned long made = end_faults();
  moves = NULL;
  lg_state_free(st);
  return made;
}

/* What stands for a long step of Lua's: it looks at nothing but whether the system is of any help. */
static void long_step(void *ud) {
  const struct lg_state *st = ud;
  while (atomic_load(&refusals) == 0 || atomic_load(&st->interrupt) == LG_INT_NONE) continue;
}

/* This program's code; it has no section for Lua's. */
static struct lg_text all_of_it(void) {
  const unsigned char *module = (const unsigned char *)GetModuleHandleW(NULL);
  const IMAGE_DOS_HEADER *dos = (const IMAGE_DOS_HEADER *)(const void *)module;
  const IMAGE_NT_HEADERS *headers = (const IMAGE_NT_HEADERS *)(const void *)(module + dos->e_lfanew);
  uintptr_t begins = (uintptr_t)module + headers->OptionalHeader.BaseOfCode;
  return (struct lg_text){begins, begins + headers->OptionalHeader.SizeOfCode};
}

/* A run that does not end is given up, and its thread goes on as after any other. */
static unsigned long given_up_run(unsigned long at, int on) {
  struct lg_text text = all_of_it();
  int os_error = 0;
  struct lg_state *st = new_state();
  st->stop.text = &text;
  begin_faults(at, on);
  int status = begin(st, MILLISECOND, 0, &os_error);
  if (status == LG_OK) {
    int given_up = lg_stop_call(&st->stop, long_step, st);
    CHECK(given_up || atomic_load(&refusals) > 0);
    CHECK_INT(until_fired(st), LG_INT_TIMEOUT);
    CHECK_INT(lg_stop_in_lua(&st->stop, NULL), 0);
  } else {
    check_unwatched(st, status, os_error);
  }
  unsigned long made = end_faults();
  lg_state_free(st);
  return made;
}

/* Ticks that find the thread in a host function come due when that returns. */
static unsigned long ticked_run(unsigned long at, int on) {
  int os_error = 0;
  struct lg_state *st = new_state();
  tick_every_ns = MILLISECOND;
  begin_faults(at, on);
  int status = begin(st, 0, 0, &os_error);
  if (status == LG_OK) {
    for (int call = 0; call < 3; call++) {
      lg_watch_leave(&st->watch);
      atomic_store(&st->interrupt, LG_INT_NONE);
      for (int i = 0; i < 1000 && !atomic_load(&st->watch.owed) && atomic_load(&refusals) == 0; i++) Sleep(2);
      CHECK_INT(atomic_load(&st->interrupt), LG_INT_NONE);
      CHECK(lg_watch_return(&st->watch) || atomic_load(&refusals) > 0);
    }
    while (atomic_load(&st->interrupt) == LG_INT_NONE) continue;
    CHECK_INT(atomic_load(&st->interrupt), LG_INT_TICK);
    lg_watch_end(&st->watch);
  } else {
    check_unwatched(st, status, os_error);
  }
  unsigned long made = end_faults();
  tick_every_ns = 0;
  lg_state_free(st);
  return made;
}

/* Blocks of every kind, made, resized and freed, on the meter of a state. */
static unsigned long memory(unsigned long at, int on) {
  enum { BLOCKS = 60 };
  static void *blocks[BLOCKS];
  static size_t sizes[BLOCKS];
  static struct lg_meter m;
  size_t expected = 0;
  lg_meter_init(&m);
  begin_faults(at, on);
  CHECK(lg_arena_reserve(&m.arena, (size_t)1 << 28) || atomic_load(&refusals) > 0);
  for (int i = 0; i < 6 * BLOCKS; i++) {
    int k = i % BLOCKS;
    size_t base = k % 3 == 0 ? 3000000 : k % 3 == 1 ? 20000 : 40;
    size_t wanted = i / BLOCKS == 3 ? 0 : base * (size_t)(1 + (i / BLOCKS) % 3);
    unsigned char *block = lg_meter_alloc(&m, blocks[k], blocks[k] == NULL ? 5 : sizes[k], wanted);
    if (block == NULL && wanted != 0) {
      CHECK(m.system_refused && atomic_load(&refusals) > 0);
      continue; /* what it held it still holds */
    }
    expected = expected - sizes[k] + wanted;
    blocks[k] = block;
    sizes[k] = wanted;
    if (block != NULL) block[0] = block[wanted - 1] = (unsigned char)k;
    CHECK_INT(m.current, expected);
    if (k == BLOCKS - 1) lg_arena_trim(&m.arena, m.peak);
  }
  for (int k = 0; k < BLOCKS; k++) {
    if (blocks[k] != NULL) CHECK_INT(*(unsigned char *)blocks[k], k);
    (void)lg_meter_alloc(&m, blocks[k], sizes[k], 0);
  }
  CHECK_INT(m.current, 0);
  lg_meter_close(&m);
  CHECK_INT(lg_meter_reserved(&m), 0);
  return end_faults();
}

/* The same function is refused for good: a run that looks at its flag ends all the same, and one in a long step ends as soon as
 * its thread can be told. */
static unsigned long refused_for_good(int which) {
  struct lg_text text = all_of_it();
  int os_error = 0;
  struct lg_state *st = new_state();
  atomic_store(&never, which);
  CHECK_INT(begin(st, 2 * MILLISECOND, 0, &os_error), LG_OK);
  CHECK_INT(until_fired(st), LG_INT_TIMEOUT);
  st->stop.text = &text;
  CHECK_INT(begin(st, 2 * MILLISECOND, 0, &os_error), LG_OK);
  CHECK_INT(lg_stop_call(&st->stop, long_step, st), 1);
  CHECK_INT(until_fired(st), LG_INT_TIMEOUT);
  lg_state_free(st);
  return 1;
}

static unsigned __stdcall relent(void *unused) {
  (void)unused;
  Sleep(200);
  atomic_store(&never, NOTHING);
  return 0;
}

static unsigned long for_good(int which) {
  HANDLE thread = (HANDLE)__real___imp__beginthreadex(NULL, 0, relent, NULL, 0, NULL);
  CHECK(thread != NULL);
  unsigned long made = refused_for_good(which);
  (void)WaitForSingleObject(thread, INFINITE);
  (void)CloseHandle(thread);
  return made;
}

static unsigned long never_suspended(unsigned long at, int on) {
  (void)at;
  (void)on;
  return for_good(SUSPENDING);
}

static unsigned long never_read(unsigned long at, int on) {
  (void)at;
  (void)on;
  return for_good(READING);
}

static unsigned long never_set(unsigned long at, int on) {
  (void)at;
  (void)on;
  return for_good(SETTING);
}

/* --- a process for every round --- */

static const struct {
  const char *name;
  unsigned long (*run)(unsigned long at, int on);
  int swept;
} rounds[] = {
    {"first run", first_run, 1},
    {"CPU time", cpu_run, 1},
    {"run that stands still", still_run, 1},
    {"run given up", given_up_run, 1},
    {"ticked run", ticked_run, 1},
    {"memory", memory, 1},
    {"never suspended", never_suspended, 0},
    {"never read", never_read, 0},
    {"never set", never_set, 0},
};

static unsigned __stdcall lose_patience(void *unused) {
  (void)unused;
  Sleep(PATIENCE_MS);
  fprintf(stderr, "it hangs\n");
  ExitProcess(3);
}

/* In the child: the round, what must hold after it, and the calls it made. */
static int one_round(char **words) {
  (void)__real___imp__beginthreadex(NULL, 0, lose_patience, NULL, 0, NULL);
  unsigned long made = rounds[atoi(words[0])].run(strtoul(words[1], NULL, 10), atoi(words[2]));
  check_usable();
  printf("%lu %u\n", made, lg_test_checks);
  return lg_test_failures != 0;
}

/* Whether the round was clean; *made: the calls it made. */
static int one(const char *program, size_t round, unsigned long at, int on, unsigned long *made) {
  char command[600];
  unsigned long checks = 0;
  *made = 0;
  (void)snprintf(command, sizeof command, "\"%s\" %u %lu %d", program, (unsigned)round, at, on);
  FILE *child = _popen(command, "r");
  int got = child == NULL ? 0 : fscanf(child, "%lu %lu", made, &checks);
  int status = child == NULL ? -1 : _pclose(child);
  lg_test_checks += (unsigned)checks;
  if (got == 2 && status == 0) return 1;
  fprintf(stderr, "%s, call %lu%s: status %d\n", rounds[round].name, at, on ? " and on" : "", status);
  return 0;
}

static void sweep(const char *program, size_t round) {
  unsigned long most = 0;
  unsigned long done = 0;
  CHECK(one(program, round, 0, 0, &most));
  CHECK(most > 0);
  for (int on = 0; on < 2 && rounds[round].swept; on++) {
    unsigned long made = most;
    for (unsigned long at = 1; at <= made && at <= 2 * most; at++, done++) {
      CHECK(one(program, round, at, on, &made));
      if (made < most) made = most; /* a round that ended early: the calls after it fail in the other rounds */
      if (at > 20) at += at / 4;
    }
  }
  printf("%s: %lu calls, %lu rounds\n", rounds[round].name, most, done);
}

int main(int argc, char **argv) {
  if (argc == 4) return one_round(argv + 1);
  for (size_t i = 0; i < sizeof rounds / sizeof rounds[0]; i++) sweep(argv[0], i);
  return lg_test_finish("test_windows_faults");
}
