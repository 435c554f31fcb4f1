/* rand_s, which gives numbers of RtlGenRandom's. */
#define _CRT_RAND_S /* for rand_s() in stdlib.h */
#include "random.h"

#include <stdlib.h>
#include <string.h>

int lg_random_bytes(void *bytes, size_t size) {
  unsigned char *to = bytes;
  while (size > 0) {
    unsigned value = 0;
    int code = rand_s(&value);
    if (code != 0) return code;
    size_t n = size < sizeof value ? size : sizeof value;
    memcpy(to, &value, n);
    to += n;
    size -= n;
  }
  return 0;
}
