/* macos.c and cputime_macos.c against a system whose every answer is chosen here: the arithmetic, and each way in which a
 * call can fail or answer short. Built with the headers in tests/c/macos, so it runs on any POSIX system. */
#include <errno.h>
#include <mach/mach.h>
#include <malloc/malloc.h>
#include <time.h>

#include "guard/cputime.h"
#include "probe/lg_probe.h"

#include "lg_test.h"

enum { OWN_TASK = 515, OWN_THREAD = 771 };

/* --- the system --- */

static struct {
  kern_return_t basic_code, vm_code, thread_code;
  mach_msg_type_number_t basic_count, vm_count;
  uint64_t resident, footprint, uptime_ns;
  size_t in_use;
  unsigned thread; /* the port of the calling thread */
  time_value_t user, system;
} os;

static void make_everything_work(void) {
  os.basic_code = os.vm_code = os.thread_code = KERN_SUCCESS;
  os.basic_count = MACH_TASK_BASIC_INFO_COUNT;
  os.vm_count = TASK_VM_INFO_COUNT;
  os.resident = (uint64_t)5 << 32;
  os.footprint = (uint64_t)3 << 32 | 4096;
  os.uptime_ns = 12345678901234;
  os.in_use = 777777;
  os.thread = OWN_THREAD;
  os.user = (time_value_t){3, 250000};
  os.system = (time_value_t){1, 999999};
}

mach_port_t mach_task_self(void) { return OWN_TASK; }

kern_return_t task_info(task_name_t task, natural_t flavor, task_info_t info, mach_msg_type_number_t *count) {
  CHECK_INT(task, OWN_TASK);
  if (flavor == MACH_TASK_BASIC_INFO) {
    CHECK_INT(*count, MACH_TASK_BASIC_INFO_COUNT);
    const struct mach_task_basic_info answer = {1, os.resident, 2};
    if (os.basic_code == KERN_SUCCESS) memcpy(info, &answer, os.basic_count * sizeof(natural_t));
    *count = os.basic_count;
    return os.basic_code;
  }
  CHECK_INT(flavor, TASK_VM_INFO);
  CHECK_INT(*count, TASK_VM_INFO_COUNT);
  const struct task_vm_info answer = {1, 2, os.footprint, 3, 4};
  if (os.vm_code == KERN_SUCCESS) memcpy(info, &answer, os.vm_count * sizeof(natural_t));
  *count = os.vm_count;
  return os.vm_code;
}

uint64_t clock_gettime_nsec_np(clockid_t clock) {
  CHECK_INT(clock, CLOCK_UPTIME_RAW);
  return os.uptime_ns;
}

void malloc_zone_statistics(malloc_zone_t *zone, malloc_statistics_t *statistics) {
  CHECK(zone == NULL); /* every zone */
  *statistics = (malloc_statistics_t){1, os.in_use, os.in_use + 1, os.in_use + 2};
}

unsigned pthread_mach_thread_np(pthread_t thread) {
  CHECK(pthread_equal(thread, pthread_self()));
  return os.thread;
}

kern_return_t thread_info(thread_inspect_t thread, natural_t flavor, thread_info_t info,
                          mach_msg_type_number_t *count) {
  CHECK_INT(thread, OWN_THREAD);
  CHECK_INT(flavor, THREAD_BASIC_INFO);
  CHECK_INT(*count, THREAD_BASIC_INFO_COUNT);
  const thread_basic_info_data_t answer = {os.user, os.system};
  if (os.thread_code == KERN_SUCCESS) memcpy(info, &answer, sizeof answer);
  return os.thread_code;
}

/* --- the probe --- */

static void figures_are_the_systems(void) {
  struct lg_probe_reading reading = {0, 0, 0};
  int os_error = 7;
  make_everything_work();
  CHECK_INT(lg_probe_read(&reading, &os_error), LG_OK);
  CHECK_INT(os_error, 0);
  CHECK_INT(reading.rss_bytes, (int64_t)5 << 32);
  CHECK_INT(reading.heap_bytes, ((int64_t)3 << 32) + 4096);
  CHECK(reading.timestamp > 12345.678901233 && reading.timestamp < 12345.678901235);
}

static void greatest_figure_fits(void) {
  struct lg_probe_reading reading = {0, 0, 0};
  int os_error = 7;
  make_everything_work();
  os.resident = os.footprint = INT64_MAX;
  CHECK_INT(lg_probe_read(&reading, &os_error), LG_OK);
  CHECK_INT(reading.rss_bytes, INT64_MAX);
  CHECK_INT(reading.heap_bytes, INT64_MAX);
}

/* Mac OS X before 10.9 knows no footprint, and says so by its count. What was not filled in is never shown. */
static void absent_footprint_is_unknown(void) {
  struct lg_probe_reading reading = {0, 0, 0};
  int os_error = 7;
  make_everything_work();
  os.vm_count = TASK_VM_INFO_REV0_COUNT;
  CHECK_INT(lg_probe_read(&reading, &os_error), LG_OK);
  CHECK_INT(reading.rss_bytes, (int64_t)5 << 32);
  CHECK_INT(reading.heap_bytes, LG_PROBE_UNKNOWN);
  os.vm_count = TASK_VM_INFO_REV1_COUNT;
  CHECK_INT(lg_probe_read(&reading, &os_error), LG_OK);
  CHECK_INT(reading.heap_bytes, ((int64_t)3 << 32) + 4096);
  os.footprint = 0; /* a task that owns nothing yet: a figure like any other */
  CHECK_INT(lg_probe_read(&reading, &os_error), LG_OK);
  CHECK_INT(reading.heap_bytes, 0);
}

/* One reading that must fail, with everything that was there before still in place. */
static void fails(int status, int code) {
  struct lg_probe_reading reading = {1, 2, 3};
  int os_error = 7;
  CHECK_INT(lg_probe_read(&reading, &os_error), status);
  CHECK_INT(os_error, code);
  CHECK(reading.rss_bytes == 1 && reading.heap_bytes == 2 && reading.timestamp == 3);
}

static void every_failure_is_reported(void) {
  make_everything_work();
  os.basic_code = KERN_FAILURE;
  fails(LG_OS_ERROR, KERN_FAILURE);
  make_everything_work();
  os.vm_code = KERN_INVALID_ARGUMENT;
  fails(LG_OS_ERROR, KERN_INVALID_ARGUMENT);
  make_everything_work();
  os.basic_count = MACH_TASK_BASIC_INFO_COUNT - 1;
  fails(LG_BAD_DATA, 0);
  make_everything_work();
  os.resident = 0;
  fails(LG_BAD_DATA, 0);
  os.resident = (uint64_t)INT64_MAX + 1;
  fails(LG_BAD_DATA, 0);
  make_everything_work();
  os.footprint = UINT64_MAX;
  fails(LG_BAD_DATA, 0);
  make_everything_work();
  os.uptime_ns = 0;
  fails(LG_BAD_DATA, 0);
}

static void heap_in_use_is_the_sum_of_zones(void) {
  int64_t bytes = 4;
  int os_error = 7;
  make_everything_work();
  CHECK_INT(lg_probe_heap_in_use(&bytes, &os_error), LG_OK);
  CHECK_INT(os_error, 0);
  CHECK_INT(bytes, 777777);
  static const size_t impossible[] = {0, SIZE_MAX};
  for (int i = 0; i < (sizeof(size_t) == 8 ? 2 : 1); i++) {
    bytes = 4;
    os.in_use = impossible[i];
    CHECK_INT(lg_probe_heap_in_use(&bytes, &os_error), LG_BAD_DATA);
    CHECK_INT(os_error, 0);
    CHECK_INT(bytes, 4);
  }
}

static void description_names_the_calls(void) {
  struct lg_probe_description description = {NULL, NULL, NULL, NULL};
  lg_probe_describe(&description);
  CHECK(strcmp(description.platform, "macos") == 0);
  CHECK(strstr(description.rss, "resident_size") != NULL && strstr(description.heap, "phys_footprint") != NULL);
  CHECK(strstr(description.heap_in_use, "malloc_zone_statistics") != NULL);
  CHECK_INT(lg_probe_set_statm_path("/proc/self/statm"), LG_UNSUPPORTED);
}

/* --- CPU time --- */

static void cpu_time_is_user_and_system(void) {
  make_everything_work();
  uint64_t clock = lg_cpu_clock_here();
  CHECK_INT(clock, OWN_THREAD);
  CHECK_INT(lg_cpu_clock_ns(clock), 3250000000 + 1999999000);
  os.user = os.system = (time_value_t){INT32_MAX, 999999}; /* 136 years */
  CHECK_INT(lg_cpu_clock_ns(clock), 2 * ((int64_t)INT32_MAX * 1000000000 + 999999000));
}

static void cpu_time_that_is_not_told_is_no_time(void) {
  make_everything_work();
  os.thread_code = KERN_INVALID_ARGUMENT; /* the thread is gone */
  errno = 0;
  CHECK_INT(lg_cpu_clock_ns(OWN_THREAD), -1);
  CHECK_INT(errno, EINVAL);
  errno = 0;
  CHECK_INT(lg_cpu_clock_ns(0), -1);
  CHECK_INT(errno, EINVAL);
  os.thread = 0; /* MACH_PORT_NULL */
  errno = 0;
  CHECK_INT(lg_cpu_clock_here(), 0);
  CHECK(errno != 0);
}

int main(void) {
  figures_are_the_systems();
  greatest_figure_fits();
  absent_footprint_is_unknown();
  every_failure_is_reported();
  heap_in_use_is_the_sum_of_zones();
  description_names_the_calls();
  cpu_time_is_user_and_system();
  cpu_time_that_is_not_told_is_no_time();
  return lg_test_finish("test_macos_answers");
}
