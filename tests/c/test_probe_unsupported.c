/* unsupported.c: no question is answered with a number. */
#include "probe/lg_probe.h"

#include "lg_test.h"

int main(void) {
  struct lg_probe_reading reading = {1, 2, 3.0};
  struct lg_probe_description description = {"x", "x", "x", "x"};
  int64_t bytes = 4;
  int os_error = 5;
  CHECK_INT(lg_probe_read(&reading, &os_error), LG_UNSUPPORTED);
  CHECK_INT(os_error, 0);
  CHECK(reading.rss_bytes == 1 && reading.heap_bytes == 2 && reading.timestamp == 3.0);
  os_error = 5;
  CHECK_INT(lg_probe_heap_in_use(&bytes, &os_error), LG_UNSUPPORTED);
  CHECK_INT(os_error, 0);
  CHECK_INT(bytes, 4);
  lg_probe_describe(&description);
  CHECK(strcmp(description.platform, "unsupported") == 0);
  CHECK(description.rss == NULL && description.heap == NULL && description.heap_in_use == NULL);
  CHECK_INT(lg_probe_set_statm_path("/proc/self/statm"), LG_UNSUPPORTED);
  return lg_test_finish("test_probe_unsupported");
}
