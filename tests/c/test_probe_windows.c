/* windows.c on the running system, a real one or wine: readings are true, and what Windows has not is not answered. */
#define WIN32_LEAN_AND_MEAN

#include <stdlib.h>
#include <windows.h>

#include "probe/lg_probe.h"

#include "lg_test.h"

enum { BLOCK_BYTES = 64 << 20, READINGS = 10000 };

static struct lg_probe_reading read_once(void) {
  struct lg_probe_reading reading = {0, 0, 0};
  int os_error = 7;
  CHECK_INT(lg_probe_read(&reading, &os_error), LG_OK);
  CHECK_INT(os_error, 0);
  return reading;
}

/* Wine 8 knows no private bytes: unknown is never shown as 0. */
static int heap_is_true(const struct lg_probe_reading *reading) {
  return reading->heap_bytes == LG_PROBE_UNKNOWN || reading->heap_bytes > 0;
}

static void readings_are_true(void) {
  struct lg_probe_reading first = read_once();
  CHECK(first.rss_bytes > 0);
  CHECK(heap_is_true(&first));
  CHECK(first.timestamp > 0);
}

static void touched_memory_is_seen(void) {
  struct lg_probe_reading before = read_once();
  char *block = VirtualAlloc(NULL, BLOCK_BYTES, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  CHECK(block != NULL);
  if (block == NULL) return;
  memset(block, 1, BLOCK_BYTES);
  struct lg_probe_reading during = read_once();
  CHECK(during.rss_bytes - before.rss_bytes > BLOCK_BYTES / 2);
  if (during.heap_bytes != LG_PROBE_UNKNOWN) CHECK(during.heap_bytes - before.heap_bytes >= BLOCK_BYTES);
  CHECK(VirtualFree(block, 0, MEM_RELEASE));
  struct lg_probe_reading after = read_once();
  CHECK(during.rss_bytes - after.rss_bytes > BLOCK_BYTES / 2);
}

static void clock_never_runs_back(void) {
  double last = 0;
  int backwards = 0;
  for (int i = 0; i < READINGS; i++) {
    struct lg_probe_reading reading;
    int os_error = 0;
    if (lg_probe_read(&reading, &os_error) != LG_OK || reading.timestamp < last) backwards++;
    last = reading.timestamp;
  }
  CHECK_INT(backwards, 0);
}

static DWORD WINAPI read_many(void *failures) {
  struct lg_probe_reading reading;
  int os_error = 0;
  for (int i = 0; i < READINGS; i++) {
    if (lg_probe_read(&reading, &os_error) != LG_OK || reading.rss_bytes <= 0) ++*(int *)failures;
  }
  return 0;
}

static void threads_read_at_once(void) {
  int failures[4] = {0};
  HANDLE threads[4];
  for (int i = 0; i < 4; i++) threads[i] = CreateThread(NULL, 0, read_many, &failures[i], 0, NULL);
  CHECK_INT(WaitForMultipleObjects(4, threads, TRUE, INFINITE), WAIT_OBJECT_0);
  for (int i = 0; i < 4; i++) {
    CHECK_INT(failures[i], 0);
    CHECK(CloseHandle(threads[i]));
  }
}

static void the_rest_is_unsupported(void) {
  int64_t bytes = 4;
  int os_error = 5;
  CHECK_INT(lg_probe_heap_in_use(&bytes, &os_error), LG_UNSUPPORTED);
  CHECK_INT(os_error, 0);
  CHECK_INT(bytes, 4);
  CHECK_INT(lg_probe_set_statm_path("x"), LG_UNSUPPORTED);
  struct lg_probe_description description = {NULL, NULL, NULL, "x"};
  lg_probe_describe(&description);
  CHECK(strcmp(description.platform, "windows") == 0);
  CHECK(description.rss != NULL && description.heap != NULL && description.heap_in_use == NULL);
}

int main(void) {
  readings_are_true();
  touched_memory_is_seen();
  clock_never_runs_back();
  threads_read_at_once();
  the_rest_is_unsupported();
  return lg_test_finish("test_probe_windows");
}
