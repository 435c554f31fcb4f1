/* The hard stop among threads, and the thread lent to the host at a tick, on one Lua without Python.
 *
 *   stop_driver LUA_LIBRARY STEP STOPS BEGINS SPREAD
 *
 * STEP is a file with a script of single long steps; the runs in it are due after BEGINS ms, and up to SPREAD ms later.
 *
 * - One thread formats numbers, in the C library and in an engine of its own, while another's runs are ended STOPS times in
 *   loops that format too: by an error, or by throwing the state away in the midst of a step. Neither hangs, and no text is wrong.
 * - What the thread that is stopped holds in registers it holds afterwards.
 * - Ticks at a high rate change nothing that Lua computes.
 * The last lines say how late deadlines and hard stops were. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/state.h"
#include "guard/wire.h"
#include "lg_instance.h"
#include "lg_test.h"
#include "os/library.h"
#include "os/sync.h"

#define MILLISECOND INT64_C(1000000)

static const struct lg_ops *ops;

static struct lg_state *open_state(void) {
  struct lg_state *st = lg_state_new(ops, 0, NULL, 0, NULL);
  if (st != NULL && ops->open(st, NULL) == LG_OK) return st;
  fprintf(stderr, "no state\n");
  exit(2);
}

static int word_of_nothing(void *host) {
  (void)host;
  return 0;
}

static int run(struct lg_state *st, const char *source, int64_t timeout_ns, int64_t tick_ns, lg_host_tick word,
               struct lg_report *rp) {
  struct lg_request rq = {.ref = -1, .source = source, .source_len = strlen(source), .name = "=stop"};
  rq.memory_limit = (size_t)64 << 20;
  rq.timeout_ns = timeout_ns;
  rq.tick_ns = tick_ns;
  rq.max_output = 100000;
  rq.host_tick = word;
  ops->run(st, &rq, rp);
  return rp->outcome;
}

/* A run's output, which must be a short string, as it is encoded. */
static size_t text_of(const struct lg_state *st, char *text, size_t size) {
  size_t length = st->answer.output.len;
  if (length < 3 || st->answer.output.data[0] != LG_W_STR || length >= size) return 0;
  memcpy(text, st->answer.output.data, length);
  text[length] = '\0';
  return length;
}

/* --- one thread formats --- */

/* Every number that is formatted, ours and Lua's own way, goes into a checksum. */
static const char formats[] = "local sum = 0\n"
                              "for i = 1, 3000 do\n"
                              "  local text = string.format('%.17g %5.3f %d %s', i / 7, i / 3, i, 'x') .. i / 11\n"
                              "  for k = 1, #text, 5 do sum = (sum * 31 + text:byte(k)) % 1000003 end\n"
                              "end\n"
                              "return tostring(sum) .. '!'";

static atomic_int formatting_ends;
static unsigned long formatted, wrong; /* of the thread, until it is joined */

static void format_numbers(void) {
  struct lg_state *st = open_state();
  struct lg_report rp;
  char expected[200];
  char text[200];
  char number[64];
  if (run(st, formats, 0, 0, word_of_nothing, &rp) != LG_RUN_OK || text_of(st, expected, sizeof expected) == 0) wrong++;
  while (!atomic_load(&formatting_ends)) {
    if (run(st, formats, 0, 0, word_of_nothing, &rp) != LG_RUN_OK || text_of(st, text, sizeof text) == 0) wrong++;
    if (strcmp(text, expected) != 0) wrong++;
    for (int i = 1; i < 300; i++) {
      (void)snprintf(number, sizeof number, "%.17g", i / 7.0);
      if (strtod(number, NULL) != i / 7.0) wrong++;
    }
    formatted++;
  }
  lg_state_free(st);
}

/* --- the other's runs are ended --- */

static const char format_loop[] =
    "local n = 0 while true do n = n + 1 local text = string.format('%.14g %s', n / 3, 'text') .. n / 7 end";

static volatile double given[10];

/* Numbers that the compiler keeps in registers which a function leaves alone. */
static int run_with_registers(struct lg_state *st, const char *source, int64_t timeout_ns, struct lg_report *rp) {
  double a = given[0], b = given[1], c = given[2], d = given[3], e = given[4];
  double f = given[5], g = given[6], h = given[7], i = given[8], j = given[9];
  volatile long double third = 3;
  long double before = 1 / third;
  int outcome = run(st, source, timeout_ns, 0, word_of_nothing, rp);
  CHECK(a == given[0] && b == given[1] && c == given[2] && d == given[3] && e == given[4]);
  CHECK(f == given[5] && g == given[6] && h == given[7] && i == given[8] && j == given[9]);
  CHECK(before == 1 / third);
  return outcome;
}

static char *read_file(const char *path) {
  static char text[400000];
  FILE *f = fopen(path, "rb");
  size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
  if (f != NULL) (void)fclose(f);
  text[n] = '\0';
  CHECK(n > 0);
  return text;
}

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a;
  int64_t y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void say_late(const char *what, int64_t *late, size_t n) {
  if (n == 0) return;
  qsort(late, n, sizeof *late, by_value);
  printf("%s: %zu, late by %.1f ms (median), %.1f ms (99 %%), %.1f ms (most)\n", what, n, (double)late[n / 2] * 1e-6,
         (double)late[n * 99 / 100] * 1e-6, (double)late[n - 1] * 1e-6);
}

enum { MOST_STOPS = 5000 };

static void stop_often(const char *step, int stops, int begins_ms, int spread_ms) {
  static int64_t late[MOST_STOPS];
  struct lg_thread other;
  struct lg_report rp;
  struct lg_state *st = open_state();
  int thrown_away = 0;
  CHECK(lg_thread_start(&other, format_numbers) == 0);
  for (int i = 0; i < stops; i++) {
    /* A third in the loop that only formats; a step needs some time before it begins. */
    int64_t timeout_ns = i % 3 == 0 ? MILLISECOND : (begins_ms + i % spread_ms) * MILLISECOND;
    int outcome = run_with_registers(st, i % 3 == 0 ? format_loop : step, timeout_ns, &rp);
    CHECK_INT(outcome, LG_RUN_TIMEOUT);
    if (rp.stopped == LG_STOPPED_STATE) late[thrown_away++] = rp.duration_ns - timeout_ns;
    if (i % 50 == 0) CHECK_INT(run(st, "return 6 * 7", 0, 0, word_of_nothing, &rp), LG_RUN_OK);
  }
  atomic_store(&formatting_ends, 1);
  lg_thread_join(&other);
  CHECK(formatted > 0);
  CHECK_INT(wrong, 0);
  CHECK_INT(st->ending.hard_stops, thrown_away);
  /* LuaJIT's steps begin late and are over soon, so that few of its runs are due in one. */
  if (lg_state_no_stop(st) == NULL && stops >= 100 && !ops->compiler_off) CHECK(thrown_away > stops / 20);
  printf("%s: %d runs ended, %d by throwing the state away; meanwhile %lu times 3,000 numbers formatted\n",
         ops->instance, stops, thrown_away, formatted);
  say_late("hard stops, the grace included", late, (size_t)thrown_away);
  lg_state_free(st);
}

static void end_endless_loops(void) {
  enum { RUNS = 200 };
  static int64_t late[RUNS];
  struct lg_report rp;
  struct lg_state *st = open_state();
  for (int i = 0; i < RUNS; i++) {
    CHECK_INT(run(st, "while true do end", 5 * MILLISECOND, 0, word_of_nothing, &rp), LG_RUN_TIMEOUT);
    late[i] = rp.duration_ns - 5 * MILLISECOND;
  }
  say_late("deadlines of an endless loop", late, RUNS);
  lg_state_free(st);
}

/* --- ticks --- */

static unsigned long words;

/* The host computes too, in all the registers that there are. */
static int word(void *host) {
  (void)host;
  volatile double x = 0.1;
  volatile long double y = 0.3L;
  double numbers[8];
  for (int i = 0; i < 8; i++) numbers[i] = sin(x + i) * sqrt(x * i);
  for (int i = 0; i < 8; i++) y = y + (long double)fmod(numbers[i] * 1e6, 0.7) / 3;
  x = (double)y;
  words++;
  return 0;
}

static const char *const computations[] = {
    /* floating point, with much that is kept between steps */
    "local a, b, c, d, e = 0.1, 0.2, 0.3, 0.4, 0.5\n"
    "for i = 1, 3000000 do a, b, c, d, e = b * 0.999 + i, c - a / 3, d + b * b % 7.3, e * c % 11.7 + 1, (a + d) % 13.1 "
    "end\n"
    "return ('%.17g %.17g %.17g %.17g %.17g'):format(a, b, c, d, e)",
    /* powers, comparisons, conversions */
    "local sum, n = 0, 0\n"
    "for i = 1, 1000000 do local x = (i % 97 + 0.5) ^ 0.5 if x > 4.4 then sum = sum + x else n = n + 1 end end\n"
    "return ('%.17g %d'):format(sum, n)",
    /* tables, strings and calls */
    "local t, sum = {}, 0\n"
    "local function put(i, v) t[i % 1000 + 1] = v return v end\n"
    "for i = 1, 800000 do sum = (sum * 31 + put(i, i % 613)) % 2147483647 end\n"
    "for i = 1, 1000 do sum = (sum + #(t[i] .. 'x' .. i) * t[i]) % 2147483647 end\n"
    "return ('%.17g'):format(sum)",
};

static void compute_under_ticks(void) {
  struct lg_report rp;
  struct lg_state *st = open_state();
  for (size_t i = 0; i < sizeof computations / sizeof computations[0]; i++) {
    char expected[200] = "";
    char text[200] = "";
    unsigned long before = words;
    for (int k = 0; k < 2; k++) CHECK_INT(run(st, computations[i], 0, 0, word, &rp), LG_RUN_OK);
    CHECK(text_of(st, expected, sizeof expected) > 0);
    CHECK_INT(words, before);
    for (int round = 0; round < 5; round++) {
      CHECK_INT(run(st, computations[i], 0, MILLISECOND / 20, word, &rp), LG_RUN_OK);
      CHECK(text_of(st, text, sizeof text) > 0);
      CHECK(strcmp(text, expected) == 0);
      if (strcmp(text, expected) != 0)
        printf("computation %zu, round %d: %s\ninstead of %s\n", i, round, text, expected);
    }
    CHECK(words > before); /* how many is the machine's business */
  }
  printf("%lu ticks, results as without\n", words);
  lg_state_free(st);
}

int main(int argc, char **argv) {
  char why[200];
  const char *missing = "";
  if (argc < 6) return 2;
  for (int i = 0; i < 10; i++) given[i] = 1.0 / (i + 3);
  void *library = lg_library_open(argv[1], why, sizeof why);
  if (library == NULL) {
    fprintf(stderr, "%s\n", why);
    return 2;
  }
  ops = LG_RESOLVE(lg_library_find, library, &missing);
  if (ops == NULL) {
    fprintf(stderr, "no %s in %s\n", missing, argv[1]);
    return 2;
  }
  if (ops->no_stop != NULL) printf("no hard stop: %s\n", ops->no_stop);
  int stops = atoi(argv[3]);
  compute_under_ticks();
  end_endless_loops();
  stop_often(read_file(argv[2]), stops < MOST_STOPS ? stops : MOST_STOPS, atoi(argv[4]), atoi(argv[5]));
  return lg_test_finish("stop_driver");
}
