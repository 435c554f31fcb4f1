/* Time Lua programs on the stock allocator and on the meter's, alternately in one process.
 *
 *   bench_arena [-n rounds] [-f] [-s | -m] lua.so program.lua...
 *
 * lua.so is any shared object that exports the Lua C API (one of lupa's modules too, with libpython preloaded). One
 * state per allocator runs every round, as a long-lived host's would; -f makes a fresh pair of states for each round.
 * -s runs only the stock allocator and -m only the meter, for a profiler.
 * Prints per program the median CPU time of the stock runs, the median of the paired ratios with its quartiles, and last
 * the geometric mean. A run is the call and a full collection; making and closing states is not timed. */
#define _GNU_SOURCE
#include <math.h>
#include <time.h>

#include "bench_arena_lua.h"

static int only = -1; /* 0 stock, 1 meter */

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* a busy machine disturbs it less than wall time */
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double run(lua_State *L, struct lg_meter *m, const char *program) {
  if (api.loadfile(L, program, NULL) != 0) goto failed;
  double start = now_s();
  if (call_top(L) != 0) goto failed;
  api.lua_gc(L, 2, 0);
  if (m != NULL) lg_arena_trim(&m->arena, m->peak);
  return now_s() - start;
failed:
  fprintf(stderr, "%s: %s\n", program, api.lua_tolstring(L, -1, NULL));
  exit(1);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Quantile q of n values, which get sorted. */
static double quantile(double *values, int n, double q) {
  qsort(values, (size_t)n, sizeof *values, by_value);
  return values[(int)(q * (n - 1) + 0.5)];
}

static double compare(const char *program, int rounds, int fresh) {
  static struct lg_meter m;
  double *stock = malloc((size_t)rounds * sizeof *stock), *ratio = malloc((size_t)rounds * sizeof *ratio);
  lua_State *a = NULL, *b = NULL;
  for (int i = -1; i < rounds; i++) { /* round -1 warms up */
    if (fresh || a == NULL) {
      a = open_state(NULL);
      lg_meter_init(&m);
      b = open_state(&m);
    }
    double times[2];
    for (int k = 0; k < 2; k++) {
      int metered = (k + i) & 1;
      if (only == !metered) {
        times[metered] = 1;
        continue;
      }
      times[metered] = metered ? run(b, &m, program) : run(a, NULL, program);
    }
    if (i >= 0) {
      stock[i] = times[0];
      ratio[i] = times[1] / times[0];
    }
    if (fresh || i == rounds - 1) {
      api.lua_close(a);
      api.lua_close(b);
      lg_meter_close(&m);
    }
  }
  const char *name = strrchr(program, '/') != NULL ? strrchr(program, '/') + 1 : program;
  double median = quantile(ratio, rounds, 0.5);
  printf("%-24s %8.2f ms   ratio %.3f  [%.3f %.3f]\n", name, 1e3 * quantile(stock, rounds, 0.5), median,
         quantile(ratio, rounds, 0.25), quantile(ratio, rounds, 0.75));
  fflush(stdout);
  free(stock);
  free(ratio);
  return median;
}

int main(int argc, char **argv) {
  int rounds = 15, fresh = 0, at = 1;
  for (; at < argc && argv[at][0] == '-'; at++) {
    if (argv[at][1] == 'f')
      fresh = 1;
    else if (argv[at][1] == 's')
      only = 0;
    else if (argv[at][1] == 'm')
      only = 1;
    else if (argv[at][1] == 'n' && at + 1 < argc)
      rounds = atoi(argv[++at]);
  }
  if (argc - at < 2 || rounds < 1) {
    fprintf(stderr, "usage: %s [-n rounds] [-f] lua.so program.lua...\n", argv[0]);
    return 2;
  }
  resolve(argv[at]);
  double sum = 0;
  for (int i = at + 1; i < argc; i++) sum += log(compare(argv[i], rounds, fresh));
  printf("%-24s %20.3f\n", "geometric mean", exp(sum / (argc - at - 1)));
  return 0;
}
