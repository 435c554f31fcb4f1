/* macOS: task_info on our own task, which needs no entitlement.
 *
 * rss_bytes is MACH_TASK_BASIC_INFO's resident_size: pages of the task in physical memory, shared libraries included
 * (the RSS of ps and psutil). heap_bytes is TASK_VM_INFO's phys_footprint: what the kernel charges to this task alone,
 * dirty and compressed private memory, the "Memory" column of Activity Monitor. It is charged for pages that were
 * compressed away and not for clean file-backed ones, so it may be above or below rss_bytes.
 *
 * What <mach/task_info.h> says of both flavors: figures are bytes in 64 bits on every CPU. `count` goes in as the room there
 * is and comes out as what was filled, in units of natural_t, so a program built against a newer header than the kernel's
 * sees by it which figures are there. phys_footprint is not peak memory (that is resident_size_max and
 * ledger_phys_footprint_peak), and not resident_size without the shared pages: pages that an IOKit driver maps for the
 * task, such as the GPU's, are charged to it as well.
 * What <malloc/malloc.h> says of malloc_zone_statistics: with no zone it is the sum over all; size_in_use is what was handed
 * out and not given back, rounded up to the zones' block sizes. It returns nothing, so no failure can be told from 0. */
#include "lg_probe.h"

#include <assert.h>
#include <mach/mach.h>
#include <malloc/malloc.h>
#include <stddef.h>
#include <time.h>

/* Mach counts are 64-bit unsigned; a value with the top bit set is no amount of memory. */
static int to_bytes(uint64_t value, int64_t *bytes) {
  if (value > (uint64_t)INT64_MAX) {
    return LG_BAD_DATA;
  }
  *bytes = (int64_t)value;
  return LG_OK;
}

static int read_resident(int64_t *bytes, int *os_error) {
  struct mach_task_basic_info info;
  mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
  kern_return_t code = task_info(mach_task_self(), MACH_TASK_BASIC_INFO, (task_info_t)&info, &count);
  if (code != KERN_SUCCESS) {
    *os_error = code;
    return LG_OS_ERROR;
  }
  if (count < MACH_TASK_BASIC_INFO_COUNT || info.resident_size == 0) {
    return LG_BAD_DATA;
  }
  return to_bytes(info.resident_size, bytes);
}

static int read_footprint(int64_t *bytes, int *os_error) {
  struct task_vm_info info;
  mach_msg_type_number_t count = TASK_VM_INFO_COUNT;
  kern_return_t code = task_info(mach_task_self(), TASK_VM_INFO, (task_info_t)&info, &count);
  if (code != KERN_SUCCESS) {
    *os_error = code;
    return LG_OS_ERROR;
  }
  /* The kernel sets count to what it filled in. phys_footprint came with revision 1 (OS X 10.9). */
  if (count < TASK_VM_INFO_REV1_COUNT) {
    *bytes = LG_PROBE_UNKNOWN;
    return LG_OK;
  }
  return to_bytes(info.phys_footprint, bytes);
}

int lg_probe_read(struct lg_probe_reading *out, int *os_error) {
  assert(out != NULL && os_error != NULL);
  struct lg_probe_reading reading;
  *os_error = 0;
  int status = read_resident(&reading.rss_bytes, os_error);
  if (status == LG_OK) {
    status = read_footprint(&reading.heap_bytes, os_error);
  }
  if (status != LG_OK) {
    return status;
  }
  /* The same ticks as mach_absolute_time, which is CPython's monotonic clock here, already in nanoseconds.
   * 0 is its only failure report (clock_gettime(3)). */
  uint64_t now_ns = clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
  if (now_ns == 0) {
    return LG_BAD_DATA;
  }
  reading.timestamp = (double)now_ns / 1e9;
  *out = reading;
  return LG_OK;
}

int lg_probe_heap_in_use(int64_t *bytes, int *os_error) {
  assert(bytes != NULL && os_error != NULL);
  malloc_statistics_t statistics = {0, 0, 0, 0};
  *os_error = 0;
  malloc_zone_statistics(NULL, &statistics); /* NULL: the sum over every zone of the process */
  if (statistics.size_in_use == 0) {
    return LG_BAD_DATA; /* it reports no errors; a running process with nothing allocated is one */
  }
  return to_bytes(statistics.size_in_use, bytes);
}

void lg_probe_describe(struct lg_probe_description *out) {
  assert(out != NULL);
  out->platform = "macos";
  out->rss = "task_info MACH_TASK_BASIC_INFO resident_size";
  out->heap = "task_info TASK_VM_INFO phys_footprint";
  out->heap_in_use = "malloc_zone_statistics size_in_use, all zones";
}

int lg_probe_set_statm_path(const char *path) {
  (void)path;
  return LG_UNSUPPORTED;
}
