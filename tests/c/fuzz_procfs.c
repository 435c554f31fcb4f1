/* libFuzzer target: bytes become the text of a statm, and a page size. fuzz_procfs.py builds and runs it.
 *
 * Whatever the parser takes must be, byte for byte, what printing its seven numbers gives, but for leading zeros; what it
 * refuses must leave the result as it was. */
#include "probe/procfs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An independent reading of the same text, by the C library; only for texts that were taken. */
static void compare(const char *text, size_t size, const struct lg_procfs_statm *statm) {
  char copy[512];
  uint64_t fields[7];
  if (size >= sizeof copy) return;
  memcpy(copy, text, size);
  copy[size] = '\0';
  if (memchr(copy, '\0', size) != NULL || strspn(copy, "0123456789 \n") != size) abort();
  if (sscanf(copy, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &fields[0],
             &fields[1], &fields[2], &fields[3], &fields[4], &fields[5], &fields[6]) != 7)
    abort();
  if (statm->size != fields[0] || statm->resident != fields[1] || statm->data != fields[5]) abort();
  if (statm->resident == 0 || statm->resident > statm->size || copy[size - 1] != '\n') abort();
}

static void check_pages(uint64_t pages, long page_size) {
  int64_t bytes = -7;
  if (lg_procfs_pages_to_bytes(pages, page_size, &bytes) != LG_OK) {
    if (bytes != -7) abort();
    return;
  }
  if (page_size <= 0 || bytes < 0) abort();
  if ((uint64_t)bytes / (uint64_t)page_size != pages || (uint64_t)bytes % (uint64_t)page_size != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  long page_size = 0;
  struct lg_procfs_statm statm = {11, 22, 33};
  if (size < sizeof page_size) return 0;
  memcpy(&page_size, data, sizeof page_size);
  size -= sizeof page_size;
  char *text = malloc(size > 0 ? size : 1); /* exactly as long as the text: a byte too far is seen */
  if (text == NULL) return 0;
  memcpy(text, data + sizeof page_size, size);
  if (lg_procfs_parse_statm(text, size, &statm) == LG_OK) {
    compare(text, size, &statm);
    check_pages(statm.resident, page_size);
    check_pages(statm.data, page_size);
    check_pages(statm.size, 4096);
  } else if (statm.size != 11 || statm.resident != 22 || statm.data != 33) {
    abort();
  }
  free(text);
  return 0;
}
