/* Windows: GetProcessMemoryInfo on the pseudo-handle of the current process, which needs no rights and no closing.
 *
 * rss_bytes is WorkingSetSize: pages in physical memory, shared ones included. heap_bytes is PrivateUsage: committed
 * memory that no other process can share, whether resident or paged out (the "commit size" of Task Manager). No process is
 * without any, so a PrivateUsage of 0 means that whoever answers does not say (wine 8 leaves it out): LG_PROBE_UNKNOWN.
 *
 * The C allocator is not asked for its own figure: HeapWalk holds each heap's lock for as long as it has blocks, and
 * HeapSummary's cost and meaning are not documented. */
#define PSAPI_VERSION 2 /* K32GetProcessMemoryInfo from kernel32 (Windows 7+): no psapi.lib to link */
#define WIN32_LEAN_AND_MEAN

#include "lg_probe.h"

#include <assert.h>
#include <stddef.h>
#include <windows.h>
/* After windows.h, which it needs: */
#include <psapi.h>

static int to_bytes(SIZE_T value, int64_t *bytes) {
  if ((uint64_t)value > (uint64_t)INT64_MAX) {
    return LG_BAD_DATA;
  }
  *bytes = (int64_t)value;
  return LG_OK;
}

static int last_error(int *os_error) {
  *os_error = (int)GetLastError();
  return LG_OS_ERROR;
}

/* QueryPerformanceCounter, CPython's monotonic clock from 3.13 on (before, it was GetTickCount64: 15.6 ms steps). */
static int read_clock(double *seconds, int *os_error) {
  LARGE_INTEGER frequency;
  LARGE_INTEGER ticks;
  if (!QueryPerformanceFrequency(&frequency) || !QueryPerformanceCounter(&ticks)) {
    return last_error(os_error);
  }
  if (frequency.QuadPart <= 0) {
    return LG_BAD_DATA;
  }
  /* Whole seconds apart, so that no product overflows and a long uptime costs no precision. */
  LONGLONG whole = ticks.QuadPart / frequency.QuadPart;
  LONGLONG rest = ticks.QuadPart % frequency.QuadPart;
  *seconds = (double)whole + (double)rest / (double)frequency.QuadPart;
  return LG_OK;
}

int lg_probe_read(struct lg_probe_reading *out, int *os_error) {
  assert(out != NULL && os_error != NULL);
  PROCESS_MEMORY_COUNTERS_EX counters = {0}; /* what is answered may be shorter: wine's ends before PrivateUsage */
  struct lg_probe_reading reading;
  *os_error = 0;
  counters.cb = sizeof counters;
  if (!GetProcessMemoryInfo(GetCurrentProcess(), (PROCESS_MEMORY_COUNTERS *)&counters, sizeof counters)) {
    return last_error(os_error);
  }
  if (counters.WorkingSetSize == 0) {
    return LG_BAD_DATA; /* whoever asks is running, so part of it is resident */
  }
  int status = to_bytes(counters.WorkingSetSize, &reading.rss_bytes);
  reading.heap_bytes = LG_PROBE_UNKNOWN;
  if (status == LG_OK && counters.PrivateUsage != 0) {
    status = to_bytes(counters.PrivateUsage, &reading.heap_bytes);
  }
  if (status == LG_OK) {
    status = read_clock(&reading.timestamp, os_error);
  }
  if (status == LG_OK) {
    *out = reading;
  }
  return status;
}

// The header fixes the type: other platforms write through it. NOLINTNEXTLINE(readability-non-const-parameter)
int lg_probe_heap_in_use(int64_t *bytes, int *os_error) {
  (void)bytes;
  *os_error = 0;
  return LG_UNSUPPORTED;
}

void lg_probe_describe(struct lg_probe_description *out) {
  assert(out != NULL);
  out->platform = "windows";
  out->rss = "GetProcessMemoryInfo WorkingSetSize";
  out->heap = "GetProcessMemoryInfo PrivateUsage";
  out->heap_in_use = NULL;
}

int lg_probe_set_statm_path(const char *path) {
  (void)path;
  return LG_UNSUPPORTED;
}
