/* Any OS without a probe of its own: every question is answered with LG_UNSUPPORTED, never with a number. */
#include "lg_probe.h"

#include <stddef.h>

int lg_probe_read(struct lg_probe_reading *out, int *os_error) {
  (void)out;
  *os_error = 0;
  return LG_UNSUPPORTED;
}

// The header fixes the type: other platforms write through it. NOLINTNEXTLINE(readability-non-const-parameter)
int lg_probe_heap_in_use(int64_t *bytes, int *os_error) {
  (void)bytes;
  *os_error = 0;
  return LG_UNSUPPORTED;
}

void lg_probe_describe(struct lg_probe_description *out) {
  out->platform = "unsupported";
  out->rss = NULL;
  out->heap = NULL;
  out->heap_in_use = NULL;
}

int lg_probe_set_statm_path(const char *path) {
  (void)path;
  return LG_UNSUPPORTED;
}
