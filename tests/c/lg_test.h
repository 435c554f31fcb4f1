/* A test program in one header: CHECK counts and reports, lg_test_finish gives main's exit code.
 * One thread checks at a time. Include it in one file per program. */
#ifndef LG_TEST_H
#define LG_TEST_H

#include <stdio.h>
#include <string.h>

static unsigned lg_test_checks;
static unsigned lg_test_failures;

static inline void lg_test_report(int passed, const char *file, int line, const char *text) {
  lg_test_checks++;
  if (!passed) {
    lg_test_failures++;
    fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, text);
  }
}

/* Goes on after a failure. */
#define CHECK(condition) lg_test_report((condition) ? 1 : 0, __FILE__, __LINE__, #condition)

/* Both values are shown when they differ; for anything that fits a long long. */
#define CHECK_INT(actual, expected)                                                                                    \
  do {                                                                                                                 \
    long long lg_actual = (long long)(actual);                                                                         \
    long long lg_expected = (long long)(expected);                                                                     \
    lg_test_report(lg_actual == lg_expected, __FILE__, __LINE__, #actual " == " #expected);                            \
    if (lg_actual != lg_expected) fprintf(stderr, "    got %lld, expected %lld\n", lg_actual, lg_expected);            \
  } while (0)

/* The exit code. A program that checked nothing has failed. */
static inline int lg_test_finish(const char *name) {
  printf("%s: %u checks, %u failed\n", name, lg_test_checks, lg_test_failures);
  return lg_test_failures == 0 && lg_test_checks > 0 ? 0 : 1;
}

#endif
