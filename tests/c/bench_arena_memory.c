/* What Lua states hold from the system, on the stock allocator and on the meter's (Linux: /proc/self/statm).
 *
 *   bench_arena_memory lua.so
 *
 * Each line is measured in a process of its own: what an idle state with the standard libraries makes resident, over
 * 1,000 of them, and after each has run a trivial script; how long 10,000 take to be made and closed, one after the other; what
 * stays resident after a run that held 500 MB, as small tables, strings of 3 kB and 300 kB, and one string; and whether
 * a heap of 1 GiB of small tables works. */
#define _GNU_SOURCE
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_arena_lua.h"

static double resident_kb(void) {
  unsigned long pages = 0, rss = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f == NULL || fscanf(f, "%lu %lu", &pages, &rss) != 2) exit(1);
  fclose(f);
  return (double)rss * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run(lua_State *L, struct lg_meter *m, const char *source) {
  if (api.loadstring(L, source) != 0 || call_top(L) != 0) {
    printf("%s\n", api.lua_tolstring(L, -1, NULL));
    fflush(stdout);
    _exit(1);
  }
  api.lua_gc(L, 2, 0);
  if (m != NULL) lg_arena_trim(&m->arena, m->peak);
}

static struct lg_meter *new_meter(int metered) {
  struct lg_meter *m = metered ? malloc(sizeof *m) : NULL;
  if (m != NULL) lg_meter_init(m);
  return m;
}

static void idle(int metered) {
  enum { STATES = 1000 };
  static lua_State *states[STATES];
  static struct lg_meter *meters[STATES];
  states[0] = open_state(meters[0] = new_meter(metered));
  double before = resident_kb();
  for (int i = 1; i < STATES; i++) states[i] = open_state(meters[i] = new_meter(metered));
  double made = resident_kb();
  for (int i = 1; i < STATES; i++)
    run(states[i], meters[i], "local t = {} for i = 1, 5 do t[i] = {i, 'x' .. i} end return #t");
  double ran = resident_kb();
  printf("idle %.1f KiB, after a trivial run %.1f KiB", (made - before) / (STATES - 1), (ran - before) / (STATES - 1));
  if (metered)
    printf(", Lua's own %.1f KiB, reserved %.1f KiB", (double)meters[1]->current / 1024,
           (double)lg_meter_reserved(meters[1]) / 1024);
  printf("\n");
}

static void create(int metered) {
  double start = now_s();
  for (int i = 0; i < 10000; i++) {
    struct lg_meter *m = new_meter(metered);
    api.lua_close(open_state(m));
    if (m != NULL) lg_meter_close(m);
    free(m);
  }
  printf("%.1f us to make and close a state\n", (now_s() - start) / 10000 * 1e6);
}

static void after_large_run(int metered, const char *what, const char *source) {
  struct lg_meter *m = new_meter(metered);
  lua_State *L = open_state(m);
  run(L, m, "return 1");
  double before = resident_kb(), start = now_s();
  run(L, m, source);
  double middle = now_s();
  printf("%-22s +%.1f MB resident after %.2f s", what, (resident_kb() - before) * 1024 / 1e6, middle - start);
  if (metered) printf(", reserved %.1f MB", (double)lg_meter_reserved(m) / 1e6);
  printf("\n");
}

static void each(int metered, int which) {
  switch (which) {
    case 0: idle(metered); break;
    case 1: create(metered); break;
    case 2:
      after_large_run(metered, "500 MB small tables", "local t = {} for i = 1, 3.5e6 do t[i] = {i, i} end");
      break;
    case 3:
      after_large_run(metered, "500 MB of 3 kB", "local t = {} for i = 1, 165000 do t[i] = ('x'):rep(3000) .. i end");
      break;
    case 4:
      after_large_run(metered, "500 MB of 300 kB", "local t = {} for i = 1, 1650 do t[i] = ('x'):rep(300000) .. i end");
      break;
    case 5: after_large_run(metered, "500 MB in one", "local s = ('x'):rep(250000000)"); break;
    default: after_large_run(metered, "1 GiB small tables", "local t = {} for i = 1, 1.2e7 do t[i] = {i} end"); break;
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s lua.so\n", argv[0]);
    return 2;
  }
  resolve(argv[1]);
  for (int which = 0; which < 7; which++) {
    for (int metered = 0; metered < 2; metered++) {
      printf("%s ", metered ? "meter" : "stock");
      fflush(stdout);
      pid_t child = fork();
      if (child == 0) {
        each(metered, which);
        fflush(stdout);
        _exit(0);
      }
      int status = 1;
      if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0) return 1;
    }
  }
  return 0;
}
