#include "procfs.h"

#define STATM_FIELDS 7
#define SURE_DIGITS 19 /* so many fit into 64 bits, whatever they are: a check at each would be most of the parsing */
enum { FIELD_SIZE = 0, FIELD_RESIDENT = 1, FIELD_DATA = 5 };

/* Reads one unsigned decimal number and leaves *cursor behind it. strtoull is not used: it skips blanks, takes signs,
 * wants a terminating NUL and answers to the locale. */
static int parse_number(const char **cursor, const char *end, uint64_t *out) {
  const char *at = *cursor;
  uint64_t value = 0;
  if (at == end || *at < '0' || *at > '9') {
    return LG_BAD_DATA;
  }
  const char *sure = end - at > SURE_DIGITS ? at + SURE_DIGITS : end;
  for (; at != sure && *at >= '0' && *at <= '9'; at++) {
    value = value * 10 + (uint64_t)(*at - '0');
  }
  for (; at != end && *at >= '0' && *at <= '9'; at++) {
    uint64_t digit = (uint64_t)(*at - '0');
    if (value > UINT64_MAX / 10 || value * 10 > UINT64_MAX - digit) {
      return LG_BAD_DATA;
    }
    value = value * 10 + digit;
  }
  *cursor = at;
  *out = value;
  return LG_OK;
}

int lg_procfs_parse_statm(const char *text, size_t length, struct lg_procfs_statm *out) {
  uint64_t fields[STATM_FIELDS];
  const char *cursor = text;
  const char *end = text + length;
  for (int i = 0; i < STATM_FIELDS; i++) {
    char separator = i + 1 < STATM_FIELDS ? ' ' : '\n';
    if (parse_number(&cursor, end, &fields[i]) != LG_OK || cursor == end || *cursor != separator) {
      return LG_BAD_DATA;
    }
    cursor++;
  }
  if (cursor != end) {
    return LG_BAD_DATA;
  }
  /* Whoever reads this is running, so some of it is resident, and not more than there is. */
  if (fields[FIELD_RESIDENT] == 0 || fields[FIELD_RESIDENT] > fields[FIELD_SIZE]) {
    return LG_BAD_DATA;
  }
  out->size = fields[FIELD_SIZE];
  out->resident = fields[FIELD_RESIDENT];
  out->data = fields[FIELD_DATA];
  return LG_OK;
}

int lg_procfs_pages_to_bytes(uint64_t pages, long page_size, int64_t *bytes) {
  if (page_size <= 0) {
    return LG_BAD_DATA;
  }
  uint64_t size = (uint64_t)page_size;
  /* Below 2^32 pages of below 2^31 bytes nothing can overflow, and a division costs as much as parsing a field. */
  if ((pages >> 32 != 0 || size >> 31 != 0) && pages > (uint64_t)INT64_MAX / size) {
    return LG_BAD_DATA;
  }
  *bytes = (int64_t)(pages * size);
  return LG_OK;
}
