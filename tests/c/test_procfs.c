/* procfs.c: every form of statm text that must be taken or refused. */
#include "probe/procfs.h"

#include <stdlib.h>

#include "lg_test.h"

static int parse(const char *text, struct lg_procfs_statm *out) {
  /* An exact copy without a terminator, so that AddressSanitizer sees any read past the end. */
  size_t length = strlen(text);
  char *copy = malloc(length > 0 ? length : 1);
  if (copy == NULL) {
    abort();
  }
  memcpy(copy, text, length);
  int status = lg_procfs_parse_statm(copy, length, out);
  free(copy);
  return status;
}

static void takes_real_lines(void) {
  struct lg_procfs_statm statm;
  CHECK_INT(parse("5903 3316 1540 710 0 2106 0\n", &statm), LG_OK);
  CHECK_INT(statm.size, 5903);
  CHECK_INT(statm.resident, 3316);
  CHECK_INT(statm.data, 2106);
  /* gVisor gives the first two and zeros. */
  CHECK_INT(parse("90 20 0 0 0 0 0\n", &statm), LG_OK);
  CHECK_INT(statm.resident, 20);
  CHECK_INT(statm.data, 0);
  CHECK_INT(parse("18446744073709551615 1 0 0 0 18446744073709551615 0\n", &statm), LG_OK);
  CHECK(statm.size == UINT64_MAX && statm.data == UINT64_MAX);
}

static void refuses_everything_else(void) {
  static const char *const bad[] = {
      "",
      "\n",
      "garbage\n",
      "1",
      "5903 3316 1540 710 0 2106 0",     /* cut off before the newline */
      "5903 3316 1540 710 0 2106\n",     /* a field is missing */
      "5903 3316 1540 710 0 2106 0 7\n", /* one too many */
      "5903 3316 1540 710 0 2106 0\n\n", /* more than a line */
      "5903  3316 1540 710 0 2106 0\n",  /* two blanks */
      " 5903 3316 1540 710 0 2106 0\n",  /* a leading blank */
      "5903\t3316 1540 710 0 2106 0\n",  /* another blank */
      "5903 3316 1540 710 0 -2106 0\n",  /* signs */
      "+5903 3316 1540 710 0 2106 0\n",
      "5903 3316 1540 710 0 0x10 0\n", /* another base */
      "5903 3316 1540 710 0 2106.5 0\n",
      "18446744073709551616 1 1 1 0 1 0\n", /* one over 64 bits */
      "18446744073709551620 1 1 1 0 1 0\n", /* the same in the last digit but one */
      "99999999999999999999999 1 1 1 0 1 0\n",
      "5903 0 0 710 0 2106 0\n",    /* nothing resident */
      "5903 5904 0 710 0 2106 0\n", /* more resident than there is */
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct lg_procfs_statm statm = {11, 22, 33};
    int status = parse(bad[i], &statm);
    if (status != LG_BAD_DATA) {
      fprintf(stderr, "taken for a statm: \"%s\"\n", bad[i]);
    }
    CHECK_INT(status, LG_BAD_DATA);
    CHECK(statm.size == 11 && statm.resident == 22 && statm.data == 33);
  }
}

static void refuses_a_nul_inside(void) {
  static const char text[] = "5903 3316\0 1540 710 0 2106 0\n";
  struct lg_procfs_statm statm;
  CHECK_INT(lg_procfs_parse_statm(text, sizeof text - 1, &statm), LG_BAD_DATA);
}

static void converts_pages(void) {
  int64_t bytes = -7;
  CHECK_INT(lg_procfs_pages_to_bytes(3, 4096, &bytes), LG_OK);
  CHECK_INT(bytes, 12288);
  CHECK_INT(lg_procfs_pages_to_bytes(0, 65536, &bytes), LG_OK);
  CHECK_INT(bytes, 0);
  CHECK_INT(lg_procfs_pages_to_bytes(INT64_MAX / 4096, 4096, &bytes), LG_OK);
  CHECK_INT(bytes, INT64_MAX / 4096 * 4096);
  bytes = -7;
  CHECK_INT(lg_procfs_pages_to_bytes((uint64_t)(INT64_MAX / 4096) + 1, 4096, &bytes), LG_BAD_DATA);
  CHECK_INT(lg_procfs_pages_to_bytes(UINT64_MAX, 4096, &bytes), LG_BAD_DATA);
  if (sizeof(long) == 8) {
    CHECK_INT(lg_procfs_pages_to_bytes(UINT32_MAX, (long)(INT64_MAX / 2), &bytes), LG_BAD_DATA);
  }
  CHECK_INT(lg_procfs_pages_to_bytes(1, 0, &bytes), LG_BAD_DATA);
  CHECK_INT(lg_procfs_pages_to_bytes(1, -1, &bytes), LG_BAD_DATA);
  CHECK_INT(bytes, -7);
}

int main(void) {
  takes_real_lines();
  refuses_everything_else();
  refuses_a_nul_inside();
  converts_pages();
  return lg_test_finish("test_procfs");
}
