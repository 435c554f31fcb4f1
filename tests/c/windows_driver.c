/* What Windows alone has: small stacks, threads that end in the midst, threads that cannot be suspended, debuggers, modules of one
 * name. On one Lua, without Python.
 *
 *   windows_driver LUA_LIBRARY STEP [debugged]     STEP: a file with a script of single long steps   */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <process.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/stackfloor.h"
#include "guard/state.h"
#include "guard/wire.h"
#include "lg_instance.h"
#include "lg_test.h"
#include "os/library.h"

#define MILLISECOND INT64_C(1000000)

static const struct lg_ops *ops;
static lg_host_call host_call;
static lg_host_tick host_tick;
static unsigned long words;

static int count_words(void *host) {
  (void)host;
  words++;
  return 0;
}

static struct lg_state *open_state(void) {
  static const char *const names[] = {"host"};
  struct lg_state *st = lg_state_new(ops, 1, names, 0, NULL);
  if (st != NULL && ops->open(st, NULL) == LG_OK) return st;
  fprintf(stderr, "no state\n");
  exit(2);
}

static int run_with(struct lg_state *st, const char *source, int64_t timeout_ns, struct lg_report *rp,
                    int64_t tick_ns) {
  struct lg_request rq = {.ref = -1, .source = source, .source_len = strlen(source), .name = "=windows"};
  rq.memory_limit = (size_t)64 << 20;
  rq.timeout_ns = timeout_ns;
  rq.max_output = 100000;
  rq.host_call = host_call;
  rq.host_tick = host_tick;
  rq.tick_ns = tick_ns;
  ops->run(st, &rq, rp);
  return rp->outcome;
}

static int run(struct lg_state *st, const char *source, int64_t timeout_ns, struct lg_report *rp) {
  return run_with(st, source, timeout_ns, rp, 0);
}

/* Ends by its deadline, and never by itself: the hook's error is caught, again and again. */
static const char endless[] = "local t = {} t.__call = t setmetatable(t, t)\n"
                              "while true do pcall(function() while true do pcall(t) end end) end";

static char steps[400000];

static void read_steps(const char *path) {
  FILE *f = fopen(path, "rb");
  size_t n = f == NULL ? 0 : fread(steps, 1, sizeof steps - 1, f);
  if (f != NULL) (void)fclose(f);
  steps[n] = '\0';
  CHECK(n > 0);
}

/* --- stacks --- */

static struct {
  const char *source;
  size_t left; /* use up the stack until so much is left of it; 0: run at once */
  size_t size; /* which the system may have made larger than it was told */
  int outcome;
  char message[200];
  int answer_is_right;
} small;

static void run_here(void) {
  struct lg_report rp;
  struct lg_state *st = open_state();
  small.outcome = run(st, small.source, 2000 * MILLISECOND, &rp);
  size_t n = st->answer.message.len < sizeof small.message ? st->answer.message.len : sizeof small.message - 1;
  memcpy(small.message, st->answer.message.data == NULL ? "" : (const char *)st->answer.message.data, n);
  small.message[n] = '\0';
  small.answer_is_right = st->answer.output.len > 0 && st->answer.output.data[0] == LG_W_TRUE;
  lg_state_free(st);
}

static int run_deep_down(void) {
  volatile char used[1024];
  used[0] = used[1023] = 1;
  if (small.left == 0 || lg_stack_left() <= small.left)
    run_here();
  else
    used[1] = (char)run_deep_down();
  return used[0] + used[1];
}

static unsigned __stdcall run_on_small_stack(void *unused) {
  (void)unused;
  ULONG_PTR low = 0;
  ULONG_PTR high = 0;
  GetCurrentThreadStackLimits(&low, &high);
  small.size = (size_t)(high - low);
  (void)run_deep_down();
  return 0;
}

/* In a thread with a stack of so many KiB, of which so many are left. */
static void check_small_stack(const char *source, unsigned kib, unsigned left_kib) {
  memset(&small, 0, sizeof small);
  small.source = source;
  small.left = (size_t)left_kib * 1024;
  HANDLE thread =
      (HANDLE)_beginthreadex(NULL, kib * 1024, run_on_small_stack, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
  CHECK(thread != NULL);
  CHECK(WaitForSingleObject(thread, 60000) == WAIT_OBJECT_0);
  (void)CloseHandle(thread);
  size_t left = left_kib == 0 ? small.size : small.left;
  int refused = small.outcome == LG_RUN_ERROR && strstr(small.message, "stack overflow") != NULL;
  int right = small.outcome == LG_RUN_OK && small.answer_is_right;
  CHECK(refused || right);
  CHECK(left >= (size_t)224 * 1024 || strstr(small.message, "a script needs 224 KiB of its thread's stack") != NULL);
  CHECK(left < (size_t)512 * 1024 || right);
  if (!refused && !right)
    fprintf(stderr, "%u KiB, %u left: outcome %d, %s\n", kib, left_kib, small.outcome, small.message);
}

static void test_small_stacks(void) {
  static const char *const sources[] = {
      "return true",
      "return string.format('%5.3f|%s|%-10d', 1 / 3, ('x'):rep(300), 5):sub(1, 5) == '0.333'",
      /* recursions through C of every kind end by an error, which can be caught */
      "local function deep() return (pcall(deep)) end\n"
      "local function sorted() table.sort({ 1, 2, 3 }, function() sorted() return false end) end\n"
      "local function replaced() ('x'):gsub('x', replaced) end\n"
      "local function nested() coroutine.wrap(nested)() end\n"
      "pcall(deep) local a, b, c = pcall(sorted), pcall(replaced), pcall(nested)\n"
      "local text = ('('):rep(100000) .. ')' local load = loadstring or load\n"
      "load(text) pcall(string.find, ('a'):rep(100000), ('a?'):rep(1000) .. ('a'):rep(1000))\n"
      "return not (a or b or c)",
      "return select('#', pcall(string.rep, 'x', -1)) == 2 and #tostring(1e300 * 10) > 0",
  };
  static const unsigned kib[] = {64, 96, 128, 192, 224, 256, 320, 512, 1024, 8192};
  static const unsigned left[] = {48, 64, 100, 200, 223, 226, 256, 320, 400, 512, 800};
  for (size_t s = 0; s < sizeof sources / sizeof sources[0]; s++) {
    for (size_t k = 0; k < sizeof kib / sizeof kib[0]; k++) check_small_stack(sources[s], kib[k], 0);
    for (size_t k = 0; k < sizeof left / sizeof left[0]; k++) check_small_stack(sources[s], 1024, left[k]);
  }
}

/* --- a thread that ends in the midst of its run --- */

static int end_thread(void *host, int index, const struct lg_buf *args, struct lg_buf *result) {
  (void)host;
  (void)index;
  (void)args;
  (void)result;
  ExitThread(7);
}

static unsigned __stdcall run_until_thread_ends(void *state) {
  struct lg_report rp;
  (void)run_with(state, "local function f() host() end f()", 50 * MILLISECOND, &rp, MILLISECOND);
  return 0;
}

static void test_thread_ends(void) {
  enum { THREADS = 20 };
  struct lg_state *states[THREADS];
  struct lg_report rp;
  struct lg_state *st = open_state();
  host_call = end_thread;
  for (int i = 0; i < THREADS; i++) {
    DWORD code = 0;
    states[i] = open_state();
    HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, run_until_thread_ends, states[i], 0, NULL);
    CHECK(WaitForSingleObject(thread, 60000) == WAIT_OBJECT_0);
    CHECK(GetExitCodeThread(thread, &code) && code == 7);
    (void)CloseHandle(thread);
    CHECK_INT(lg_watch_active(), 0);
    CHECK_INT(run(st, "while true do end", 2 * MILLISECOND, &rp),
              LG_RUN_TIMEOUT); /* past the deadline of the one that is gone */
  }
  Sleep(100);
  CHECK_INT(run(st, "return 1", 0, &rp), LG_RUN_OK);
  for (int i = 0; i < THREADS; i++) lg_state_free(states[i]);
  lg_state_free(st);
  host_call = NULL;
}

/* --- a thread that others have suspended as often as can be --- */

static HANDLE victim;

static unsigned __stdcall suspend_often(void *unused) {
  (void)unused;
  for (int round = 0; round < 5; round++) {
    int times = 0;
    Sleep(10);
    while (times < 1000 && SuspendThread(victim) != (DWORD)-1) times++;
    Sleep(60); /* meanwhile the run is due, and the watchdog is refused */
    CHECK(times >= 100 && times < 1000);
    for (; times > 0; times--) (void)ResumeThread(victim);
  }
  return 0;
}

static void test_suspended_by_others(void) {
  struct lg_report rp;
  struct lg_state *st = open_state();
  CHECK(DuplicateHandle(GetCurrentProcess(), GetCurrentThread(), GetCurrentProcess(), &victim, 0, FALSE,
                        DUPLICATE_SAME_ACCESS));
  HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, suspend_often, NULL, 0, NULL);
  while (WaitForSingleObject(thread, 0) == WAIT_TIMEOUT) {
    CHECK_INT(run(st, "while true do end", 20 * MILLISECOND, &rp), LG_RUN_TIMEOUT);
    CHECK_INT(run(st, steps, 20 * MILLISECOND, &rp), LG_RUN_TIMEOUT);
  }
  (void)CloseHandle(thread);
  (void)CloseHandle(victim);
  CHECK_INT(run(st, "return 1", 0, &rp), LG_RUN_OK);
  lg_state_free(st);
}

/* --- a debugger --- */

/* In the child: what the watchdog does to a thread, while a debugger is told of everything. */
static int run_debugged(void) {
  struct lg_report rp;
  struct lg_state *st = open_state();
  CHECK(IsDebuggerPresent());
  for (int i = 0; i < 20; i++) {
    CHECK_INT(run_with(st, i % 2 == 0 ? endless : steps, (i % 2 == 0 ? 20 : 60) * MILLISECOND, &rp, MILLISECOND),
              LG_RUN_TIMEOUT);
    CHECK_INT(run(st, "local ok, e = pcall(error, 'x') return ok == false", 0, &rp), LG_RUN_OK);
  }
  CHECK(words > 0 && (ops->compiler_off || st->ending.hard_stops > 0)); /* LuaJIT's steps are short */
  fprintf(stderr, "debugged: %llu hard stops, %lu ticks\n", (unsigned long long)st->ending.hard_stops, words);
  lg_state_free(st);
  return lg_test_finish("windows_driver, debugged");
}

static void test_debugged(const char *program, const char *library, const char *step) {
  char command[1000];
  STARTUPINFOA startup = {.cb = sizeof startup};
  PROCESS_INFORMATION child;
  DEBUG_EVENT event;
  DWORD code = 99;
  unsigned long events = 0;
  (void)snprintf(command, sizeof command, "\"%s\" \"%s\" \"%s\" debugged", program, library, step);
  int made = CreateProcessA(NULL, command, NULL, NULL, TRUE, DEBUG_ONLY_THIS_PROCESS, NULL, NULL, &startup, &child);
  CHECK(made);
  if (!made) return;
  for (int over = 0; !over; events++) {
    if (!WaitForDebugEvent(&event, 60000)) break; /* it hangs */
    over = event.dwDebugEventCode == EXIT_PROCESS_DEBUG_EVENT;
    DWORD what = DBG_CONTINUE;
    if (event.dwDebugEventCode == EXCEPTION_DEBUG_EVENT &&
        event.u.Exception.ExceptionRecord.ExceptionCode != EXCEPTION_BREAKPOINT)
      what = DBG_EXCEPTION_NOT_HANDLED; /* LuaJIT's errors are exceptions */
    (void)ContinueDebugEvent(event.dwProcessId, event.dwThreadId, what);
  }
  CHECK(WaitForSingleObject(child.hProcess, 10000) == WAIT_OBJECT_0);
  CHECK(GetExitCodeProcess(child.hProcess, &code));
  CHECK_INT(code, 0);
  CHECK(events > 3);
  (void)TerminateProcess(child.hProcess, 1);
  (void)CloseHandle(child.hThread);
  (void)CloseHandle(child.hProcess);
}

/* --- modules of one name --- */

static void test_same_base_name(const char *library) {
  char folder[MAX_PATH];
  char copy[2 * MAX_PATH];
  char why[200] = "";
  const char *name = strrchr(library, '/');
  if (name == NULL) name = strrchr(library, '\\');
  CHECK(name != NULL);
  CHECK(GetTempPathA(sizeof folder, folder) > 0);
  (void)snprintf(copy, sizeof copy, "%sluagauge-%lu", folder, (unsigned long)GetCurrentProcessId());
  CHECK(CreateDirectoryA(copy, NULL));
  (void)snprintf(copy + strlen(copy), sizeof copy - strlen(copy), "\\%s", name + 1);
  CHECK(CopyFileA(library, copy, TRUE));
  HMODULE other = LoadLibraryA(copy);
  CHECK(other != NULL);
  void *ours = lg_library_open(library, why, sizeof why);
  CHECK(ours != NULL && ours != (void *)other);
  CHECK(lg_library_open(library, why, sizeof why) == ours);
  CHECK(lg_library_find(ours, "lua_pcall") != NULL || lg_library_find(ours, "lua_pcallk") != NULL);
  CHECK(lg_library_find(ours, "no_such_function") == NULL);
  CHECK(lg_library_open("Z:/no/such/library.dll", why, sizeof why) == NULL && why[0] != '\0');
  (void)FreeLibrary(other);
  (void)DeleteFileA(copy);
  *strrchr(copy, '\\') = '\0';
  (void)RemoveDirectoryA(copy);
}

int main(int argc, char **argv) {
  char why[200];
  const char *missing = "";
  if (argc < 3) return 2;
  read_steps(argv[2]);
  if (argc == 3) test_same_base_name(argv[1]); /* before anything of this program's has loaded it */
  void *library = lg_library_open(argv[1], why, sizeof why);
  ops = library == NULL ? NULL : LG_RESOLVE(lg_library_find, library, &missing);
  if (ops == NULL) {
    fprintf(stderr, "no Lua: %s %s\n", library == NULL ? why : "", missing);
    return 2;
  }
  CHECK(ops->no_stop == NULL);
  host_tick = count_words;
  if (argc > 3) return run_debugged();
  test_small_stacks();
  test_thread_ends();
  test_suspended_by_others();
  test_debugged(argv[0], argv[1], argv[2]);
  return lg_test_finish("windows_driver");
}
