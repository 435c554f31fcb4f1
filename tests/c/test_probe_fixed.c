/* linux.c in a program for a fixed address that takes the address of malloc: the linker then makes a stub of that name in the
 * program itself, as in Debian's python3, and the allocator is found all the same. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

#include "probe/lg_probe.h"

#include "lg_test.h"

int main(void) {
  void *(*volatile take)(size_t) = malloc;
  int64_t before = 0;
  int os_error = 0;
  void *block = take(100000);
  CHECK(block != NULL);
  int status = lg_probe_heap_in_use(&before, &os_error);
#ifdef LG_TEST_SANITIZED
  CHECK(status != LG_OK); /* AddressSanitizer's malloc */
#else
  CHECK_INT(status, dlsym(RTLD_DEFAULT, "mallinfo2") != NULL ? LG_OK : LG_UNSUPPORTED);
  if (status == LG_OK) {
    int64_t after = 0;
    free(block);
    block = NULL;
    CHECK_INT(lg_probe_heap_in_use(&after, &os_error), LG_OK);
    CHECK(before - after >= 100000 && before - after < 101000);
  }
#endif
  free(block);
  return lg_test_finish("test_probe_fixed");
}
