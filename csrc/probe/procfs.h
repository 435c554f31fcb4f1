/* Pure text -> numbers for /proc/<pid>/statm. No system call, no global: any thread, any signal handler. */
#ifndef LG_PROCFS_H
#define LG_PROCFS_H

#include <stddef.h>
#include <stdint.h>

#include "lg_status.h"

/* The fields of proc(5)'s statm that are used; all in pages. */
struct lg_procfs_statm {
  uint64_t size;     /* field 1: total program size */
  uint64_t resident; /* field 2: resident set size */
  uint64_t data;     /* field 6: data + stack, VmData + VmStk in /proc/<pid>/status */
};

/* Parses one whole statm: seven unsigned decimal numbers with one blank between them, then a newline at text[length-1].
 * The newline is demanded because it alone shows that the text was not cut off.
 * LG_OK; LG_BAD_DATA (anything else, a number over 64 bits, a resident set that is empty or larger than the whole). */
int lg_procfs_parse_statm(const char *text, size_t length, struct lg_procfs_statm *out);

/* pages * page_size in *bytes. LG_OK; LG_BAD_DATA when that does not fit 63 bits or page_size is not positive. */
int lg_procfs_pages_to_bytes(uint64_t pages, long page_size, int64_t *bytes);

#endif
