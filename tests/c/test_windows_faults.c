/* Every call to Windows that the watchdog, what tells a thread, the clocks and the meter make fails in turn: once alone, and from
 * that one on; and, of those that a run needs again and again, for good. Nothing hangs, nothing crashes, the status is right, and
 * all is as good as new as soon as the system is. run.py links this with -Wl,--wrap for each function named in
 * faults/calls_windows.h.
 *
 *   test_windows_faults [ROUND AT ON]   */
#include "faults/calls_windows.h"

#include <stdlib.h>

#include "faults/memory.h"
#include "faults/rounds.h"
#include "faults/sweep.h"
#include "guard/cputime.h"

enum { PATIENCE_MS = 20000 };

static void rest(void) {} /* CPU time */

static void check_stack(void) {}

static void check_thread(void) {}

/* This program's code; it has no section for Lua's. */
static struct lg_text all_of_it(void) {
  const unsigned char *module = (const unsigned char *)GetModuleHandleW(NULL);
  const IMAGE_DOS_HEADER *dos = (const IMAGE_DOS_HEADER *)(const void *)module;
  const IMAGE_NT_HEADERS *headers = (const IMAGE_NT_HEADERS *)(const void *)(module + dos->e_lfanew);
  uintptr_t begins = (uintptr_t)module + headers->OptionalHeader.BaseOfCode;
  return (struct lg_text){begins, begins + headers->OptionalHeader.SizeOfCode};
}

static int text_of_steps(struct lg_text *text) {
  *text = all_of_it();
  return 1;
}

/* --- rounds of Windows --- */

/* Ticks that find the thread in a host function come due when that returns. */
static unsigned long ticked_run(unsigned long at, int on) {
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  tick_every_ns = MILLISECOND;
  begin_faults(at, on);
  int status = begin(st, 0, 0, &os_error);
  if (status == LG_OK) {
    for (int call = 0; call < 3; call++) {
      lg_watch_leave(&st->watch);
      atomic_store(&st->ending.flag, LG_INT_NONE);
      for (int i = 0; i < 1000 && !atomic_load(&st->watch.owed) && atomic_load(&refusals) == 0; i++) Sleep(2);
      CHECK_INT(atomic_load(&st->ending.flag), LG_INT_NONE);
      CHECK(lg_watch_return(&st->watch) || atomic_load(&refusals) > 0);
    }
    while (atomic_load(&st->ending.flag) == LG_INT_NONE) continue;
    CHECK_INT(atomic_load(&st->ending.flag), LG_INT_TICK);
    lg_watch_end(&st->watch);
  } else {
    check_unwatched(st, status, os_error);
  }
  unsigned long made = end_faults();
  tick_every_ns = 0;
  lg_state_free(st);
  return made;
}

static unsigned long memory_in_a_range(unsigned long at, int on) { return memory_of((size_t)1 << 28, at, on); }

/* The same function is refused for good: a run that looks at its flag ends all the same, and one in a long step ends as soon as
 * its thread can be told. */
static unsigned long refused_for_good(int which) {
  struct lg_text text = all_of_it();
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  insist = 1;
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

static const struct lg_round rounds[] = {
    {"first run", first_run, 1},
    {"CPU time", cpu_run, 1},
    {"run that stands still", still_run, 1},
    {"run given up", given_up_run, 1},
    {"ticked run", ticked_run, 1},
    {"memory in a range", memory_in_a_range, 1},
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

static const char *program;

static int one(const struct lg_round *round, unsigned long at, int on, unsigned long *made) {
  char command[600];
  unsigned long checks = 0;
  *made = 0;
  (void)snprintf(command, sizeof command, "\"%s\" %u %lu %d", program, (unsigned)(round - rounds), at, on);
  FILE *child = _popen(command, "r");
  int got = child == NULL ? 0 : fscanf(child, "%lu %lu", made, &checks);
  int status = child == NULL ? -1 : _pclose(child);
  lg_test_checks += (unsigned)checks;
  if (got == 2 && status == 0) return 1;
  report(round, at, on, status);
  return 0;
}

int main(int argc, char **argv) {
  program = argv[0];
  if (argc == 4) return one_round(argv + 1);
  for (size_t i = 0; i < sizeof rounds / sizeof rounds[0]; i++) sweep(&rounds[i], 20, 4);
  return lg_test_finish("test_windows_faults");
}
