/* Runs a corpus of scripts through the guarded call of one Lua version, without Python, and makes each of Lua's allocations
 * fail in turn: once alone, and from that one on. Usage: guard_driver LUA_LIBRARY CORPUS [sweep] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/state.h"
#include "guard/wire.h"
#include "lg_instance.h"
#include "lg_test.h"
#include "os/library.h"

typedef void (*setallocf_fn)(struct lua_State *, lg_alloc_fn, void *);

enum { MAX_SCRIPTS = 100 };

static struct {
  char name[64];
  char *source;
  int expected; /* outcome of the undisturbed run */
} scripts[MAX_SCRIPTS];
static int script_count;

static unsigned long calls, fail_at;
static int fail_on;

/* The state's allocator with failures: counts what asks for more memory. */
static void *failing_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  if (nsize > (ptr == NULL ? 0 : osize)) {
    calls++;
    if (fail_at != 0 && (calls == fail_at || (fail_on && calls > fail_at))) {
      ((struct lg_meter *)ud)->system_refused = 1;
      return NULL;
    }
  }
  return lg_meter_alloc(ud, ptr, osize, nsize);
}

static int host_call(void *host, int index, const struct lg_buf *args, struct lg_buf *result) {
  (void)host;
  int64_t sum = (int64_t)args->len;
  if (index == 0) return lg_wire_word(result, LG_W_INT, &sum) == 0 ? 0 : 2;
  if (index == 1) { /* echo: the tuple's first value, as it came */
    if (args->len <= 9) return lg_wire_tag_only(result, LG_W_NIL) == 0 ? 0 : 2;
    return lg_buf_append(result, args->data + 9, args->len - 9) == 0 ? 0 : 2;
  }
  if (index == 3) { /* the clock */
    double seconds = 1000.5;
    return lg_wire_word(result, LG_W_FLOAT, &seconds) == 0 ? 0 : 2;
  }
  /* Of the log entries, whose message is last, it takes all but one. */
  static const char refused[] = "refused";
  size_t n = sizeof refused - 1;
  if (index == 4 && (args->len < n || memcmp(args->data + args->len - n, refused, n) != 0)) return 0;
  return lg_buf_append(result, "fail: Error: on purpose", 23) == 0 ? 1 : 2;
}

static int host_tick(void *host) {
  (void)host;
  return 0;
}

static void make_context(struct lg_buf *b) {
  uint64_t three = 3;
  uint64_t two = 2;
  int64_t seven = 7;
  (void)lg_wire_word(b, LG_W_MAP, &two);
  (void)lg_wire_str(b, "metadata", 8);
  (void)lg_wire_tag_only(b, LG_W_TRUE);
  (void)lg_wire_str(b, "request", 7);
  (void)lg_wire_word(b, LG_W_MAP, &two);
  (void)lg_wire_str(b, "name", 4);
  (void)lg_wire_str(b, "somebody with a name of more than forty characters", 50);
  (void)lg_wire_str(b, "items", 5);
  (void)lg_wire_word(b, LG_W_LIST, &three);
  for (int i = 0; i < 3; i++) (void)lg_wire_word(b, LG_W_INT, &seven);
}

static void read_corpus(const char *path) {
  char line[4096];
  FILE *f = fopen(path, "r");
  CHECK(f != NULL);
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    if (strncmp(line, "== ", 3) == 0) {
      script_count++;
      line[strcspn(line, "\n")] = '\0';
      (void)snprintf(scripts[script_count - 1].name, sizeof scripts[0].name, "%.60s", line + 3);
      scripts[script_count - 1].source = calloc(1, 8192);
    } else {
      (void)strcat(scripts[script_count - 1].source, line);
    }
  }
  if (f != NULL) (void)fclose(f);
}

static struct lg_buf context;

static int run(struct lg_state *st, const char *source, struct lg_report *rp) {
  struct lg_request rq = {0};
  rq.ref = -1;
  rq.source = source;
  rq.source_len = strlen(source);
  rq.name = "@corpus";
  rq.context = context.data;
  rq.context_len = context.len;
  rq.memory_limit = (size_t)4 << 20;
  rq.timeout_ns = 60000000000;
  rq.max_output = 20000;
  rq.max_log_bytes = 10000;
  rq.max_log_entries = 100;
  rq.host_call = host_call;
  rq.host_tick = host_tick;
  st->ops->run(st, &rq, rp);
  return rp->outcome;
}

static struct lg_state *open_state(const struct lg_ops *ops, setallocf_fn setallocf) {
  static const char *const names[] = {"add", "echo", "fail", LG_CLOCK_NAME, LG_LOG_NAME};
  static const char *const environ_pairs[] = {"GIVEN", "yes"};
  struct lg_state *st = lg_state_new(ops, 5, names, 1, environ_pairs);
  if (st == NULL) return NULL;
  if (ops->open(st, NULL) != LG_OK) {
    lg_state_free(st);
    return NULL;
  }
  setallocf(st->L, failing_alloc, st);
  return st;
}

/* The state is as good as new: it runs a script, and its heap is back where it was. */
static void check_usable(struct lg_state *st, size_t base, const char *name, unsigned long k) {
  struct lg_report rp;
  fail_at = 0;
  for (int i = 0; i < 2; i++) {
    int outcome = run(st, "return 6 * 7", &rp);
    int64_t answer = 0;
    if (st->answer.output.len == 9) memcpy(&answer, st->answer.output.data + 1, 8);
    double number = 0;
    if (st->answer.output.len == 9) memcpy(&number, st->answer.output.data + 1, 8);
    if (outcome != LG_RUN_OK || answer != 42) {
      fprintf(stderr, "%s, allocation %lu: the next run gives outcome %d, %lld\n", name, k, outcome, (long long)answer);
      lg_test_failures++;
    }
  }
  if (st->meter.current > base + 2048) {
    fprintf(stderr, "%s, allocation %lu: %zu bytes stay (%zu before)\n", name, k, st->meter.current, base);
    lg_test_failures++;
  }
}

/* Every allocation up to `dense` fails in turn, and beyond it samples. */
static void sweep(struct lg_state *st, int i, size_t base, int on, unsigned long dense) {
  struct lg_report rp;
  for (unsigned long k = 1;; k++) {
    calls = 0;
    fail_at = k;
    fail_on = on;
    int outcome = run(st, scripts[i].source, &rp);
    unsigned long seen = calls;
    int fine = outcome == scripts[i].expected || outcome == LG_RUN_NO_MEMORY || outcome == LG_RUN_ERROR ||
               outcome == LG_RUN_OK; /* the last two: the script caught the failure */
    if (!fine) {
      fprintf(stderr, "%s, allocation %lu: outcome %d\n", scripts[i].name, k, outcome);
      lg_test_failures++;
    }
    check_usable(st, base, scripts[i].name, k);
    lg_test_checks++;
    if (seen < k) return; /* the run no longer gets as far as the allocation that is to fail */
    if (k > dense) k += k / 16;
  }
}

/* What goes wrong before the script's own call keeps its text. */
static void check_bad_context(struct lg_state *st) {
  static const char expected[] = "malformed data: unknown tag 255";
  struct lg_report rp;
  struct lg_buf good = context;
  unsigned char bad = 255;
  context.data = &bad;
  context.len = 1;
  CHECK(run(st, "return 1", &rp) == LG_RUN_ERROR);
  CHECK(st->answer.message.len == sizeof expected - 1 &&
        memcmp(st->answer.message.data, expected, sizeof expected - 1) == 0);
  context = good;
}

int main(int argc, char **argv) {
  const char *missing = "";
  if (argc < 3) return 2;
  char why[200];
  void *handle = lg_library_open(argv[1], why, sizeof why);
  if (handle == NULL) {
    fprintf(stderr, "%s\n", why);
    return 2;
  }
  const struct lg_ops *ops = LG_RESOLVE(lg_library_find, handle, &missing);
  if (ops == NULL) {
    fprintf(stderr, "no %s in %s\n", missing, argv[1]);
    return 2;
  }
  void *symbol = lg_library_find(handle, "lua_setallocf");
  setallocf_fn setallocf = NULL;
  memcpy(&setallocf, &symbol, sizeof symbol);
  make_context(&context);
  read_corpus(argv[2]);
  struct lg_state *st = open_state(ops, setallocf);
  struct lg_report rp;
  CHECK(st != NULL);
  if (st == NULL) return 1;
  for (int i = 0; i < script_count; i++) scripts[i].expected = run(st, scripts[i].source, &rp);
  for (int i = 0; i < script_count; i++) {
    int outcome = run(st, scripts[i].source, &rp);
    CHECK(outcome == scripts[i].expected);
    if (argc == 3)
      printf("%-26s outcome %d, %zu bytes, message '%.*s'\n", scripts[i].name, outcome, rp.peak_bytes - rp.start_bytes,
             (int)st->answer.message.len, st->answer.message.data == NULL ? "" : (const char *)st->answer.message.data);
  }
  check_bad_context(st);
  size_t base = st->meter.current;
  unsigned long dense = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
  for (int i = 0; i < script_count && argc > 3; i++) {
    sweep(st, i, base, 0, dense);
    sweep(st, i, base, 1, dense);
  }
  lg_state_free(st);
  lg_buf_free(&context);
  for (int i = 0; i < script_count; i++) free(scripts[i].source);
  return lg_test_finish("guard_driver");
}
