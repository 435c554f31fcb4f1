/* Linux: one pread of a kept-open descriptor on /proc/self/statm.
 *
 * The descriptor lives in one atomic int. A reader loads it, reads, and on any failure opens a fresh one, reads that,
 * and only then publishes it by compare-and-swap; the loser of a race closes its own. So there is no lock, and nothing
 * that a fork in the middle could leave locked. The worst that a race can do is to forget one good descriptor, when
 * someone closed ours and two threads notice at the same moment. */
#define _GNU_SOURCE /* RTLD_DEFAULT, O_CLOEXEC, pread */ // NOLINT(bugprone-reserved-identifier)

#include "lg_probe.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

#include "procfs.h"

#define DEFAULT_PATH "/proc/self/statm"
#define NO_FD (-1)

static _Atomic int kept_fd = NO_FD;
/* The inode behind kept_fd, so that a forked child closes that descriptor only where it is still ours. */
static _Atomic uint64_t kept_inode;
static char statm_path[PATH_MAX] = DEFAULT_PATH;

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error; /* written once, under fork_once */

static bool inode_of(int fd, uint64_t *inode) {
  struct stat status;
  if (fstat(fd, &status) != 0) {
    return false;
  }
  *inode = (uint64_t)status.st_ino;
  return true;
}

/* Closes the kept descriptor unless its number has come to mean another file, which is not ours to close. */
static void drop_kept(void) {
  uint64_t inode = 0;
  int fd = atomic_exchange(&kept_fd, NO_FD);
  if (fd != NO_FD && inode_of(fd, &inode) && inode == atomic_load(&kept_inode)) {
    close(fd);
  }
}

/* /proc/self is resolved when it is opened, so an inherited descriptor goes on showing the parent.
 * Only async-signal-safe calls are allowed in a fork handler; drop_kept makes no other. */
static void after_fork_in_child(void) {
  int saved_errno = errno;
  drop_kept();
  errno = saved_errno;
}

static void watch_forks(void) { fork_error = pthread_atfork(NULL, NULL, after_fork_in_child); }

/* Reads and checks one statm. Fills all of *out, or nothing. */
static int read_statm(int fd, struct lg_probe_reading *out, int *os_error) {
  char text[256]; /* seven 64-bit numbers and their separators take 147 */
  struct lg_procfs_statm pages;
  struct lg_probe_reading reading;
  struct timespec now;
  ssize_t length = pread(fd, text, sizeof text, 0);
  if (length < 0) {
    *os_error = errno;
    return LG_OS_ERROR;
  }
  *os_error = 0;
  long page_size = sysconf(_SC_PAGESIZE); /* no system call: the kernel told libc at exec */
  if (lg_procfs_parse_statm(text, (size_t)length, &pages) != LG_OK ||
      lg_procfs_pages_to_bytes(pages.resident, page_size, &reading.rss_bytes) != LG_OK ||
      lg_procfs_pages_to_bytes(pages.data, page_size, &reading.heap_bytes) != LG_OK) {
    return LG_BAD_DATA;
  }
  if (pages.data == 0) {
    reading.heap_bytes = LG_PROBE_UNKNOWN; /* every process has a stack, so 0 is "not counted", as under gVisor */
  }
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
    *os_error = errno;
    return LG_OS_ERROR;
  }
  /* By way of whole nanoseconds, as CPython does it: the two clocks then round alike and never cross. */
  reading.timestamp = (double)((int64_t)now.tv_sec * 1000000000 + now.tv_nsec) / 1e9;
  *out = reading;
  return LG_OK;
}

/* Opens a descriptor, reads it, and keeps it in place of `stale` if the reading was good. */
static int read_reopened(int stale, struct lg_probe_reading *out, int *os_error) {
  uint64_t inode = 0;
  /* `stale` was closed, or its number belongs to someone else by now: forget it, never close it. */
  int expected = stale;
  atomic_compare_exchange_strong(&kept_fd, &expected, NO_FD);

  pthread_once(&fork_once, watch_forks);
  if (fork_error != 0) {
    *os_error = fork_error;
    return LG_OS_ERROR;
  }
  int fd = open(statm_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) {
    *os_error = errno;
    return errno == ENOENT || errno == ENOTDIR ? LG_UNSUPPORTED : LG_OS_ERROR;
  }
  int status = read_statm(fd, out, os_error);
  expected = NO_FD;
  if (status == LG_OK && inode_of(fd, &inode)) {
    atomic_store(&kept_inode, inode);
    if (atomic_compare_exchange_strong(&kept_fd, &expected, fd)) {
      return LG_OK;
    }
  }
  close(fd);
  return status;
}

int lg_probe_read(struct lg_probe_reading *out, int *os_error) {
  assert(out != NULL && os_error != NULL);
  int fd = atomic_load_explicit(&kept_fd, memory_order_acquire);
  if (fd != NO_FD && read_statm(fd, out, os_error) == LG_OK) {
    return LG_OK;
  }
  return read_reopened(fd, out, os_error);
}

/* glibc's struct mallinfo2, spelled out here: musl and glibc before 2.33 have no such declaration, and a module built
 * where it exists must load where it does not. */
struct allocator_info {
  size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
typedef struct allocator_info (*allocator_info_fn)(void);

/* Where the object file that holds an address begins. */
static const void *object_of(const void *address) {
  Dl_info info;
  return address != NULL && dladdr(address, &info) != 0 ? info.dli_fbase : NULL;
}

/* Whether a block that malloc hands out shows in mallinfo2's figures. It is larger than any that glibc does not map by
 * itself, its pages are never touched, and no mutex is needed: another thread's blocks of that size are too rare to matter. */
static bool shows_blocks(allocator_info_fn mallinfo2_fn) {
  static atomic_bool shown; /* what malloc is does not change */
  if (atomic_load(&shown)) {
    return true;
  }
  const size_t size = (size_t)64 << 20;
  size_t before = mallinfo2_fn().hblkhd;
  void *volatile block = malloc(size);
  size_t after = mallinfo2_fn().hblkhd;
  atomic_store(&shown, block != NULL && after > before && after - before >= size);
  free(block);
  return atomic_load(&shown);
}

/* mallinfo2, if it comes from the library that malloc comes from: behind a preloaded jemalloc or AddressSanitizer,
 * glibc's would answer for an allocator that nobody uses. */
static allocator_info_fn find_mallinfo2(void) {
  allocator_info_fn found = NULL;
  void *symbol = dlsym(RTLD_DEFAULT, "mallinfo2");
  const void *library = object_of(symbol);
  const void *of_malloc = object_of(dlsym(RTLD_DEFAULT, "malloc"));
  if (library == NULL || of_malloc == NULL) {
    return NULL;
  }
  *(void **)&found = symbol; /* ISO C has no cast from an object to a function pointer */
  if (of_malloc == library) {
    return found;
  }
  /* A program linked for a fixed address that takes malloc's address, as Debian's python3 does, has a stub of that name:
   * it hides where malloc is, so it is tried out. NOLINTNEXTLINE(performance-no-int-to-ptr) */
  const void *entry = (const void *)(uintptr_t)getauxval(AT_ENTRY);
  return of_malloc == object_of(entry) && shows_blocks(found) ? found : NULL;
}

int lg_probe_heap_in_use(int64_t *bytes, int *os_error) {
  assert(bytes != NULL && os_error != NULL);
  *os_error = 0;
  allocator_info_fn mallinfo2_fn = find_mallinfo2();
  if (mallinfo2_fn == NULL) {
    return LG_UNSUPPORTED; /* the older mallinfo counts in int and wraps at 2 GiB: no figure beats a wrong one */
  }
  struct allocator_info info = mallinfo2_fn();
  /* uordblks: chunks in use in every arena; hblkhd: blocks that malloc took from mmap one by one. */
  if (info.uordblks > (size_t)PTRDIFF_MAX || info.hblkhd > (size_t)PTRDIFF_MAX - info.uordblks) {
    return LG_BAD_DATA;
  }
  if (info.uordblks + info.hblkhd == 0) {
    return LG_BAD_DATA; /* it reports no errors; a running process with nothing allocated is one */
  }
  *bytes = (int64_t)(info.uordblks + info.hblkhd);
  return LG_OK;
}

void lg_probe_describe(struct lg_probe_description *out) {
  assert(out != NULL);
  out->platform = "linux";
  out->rss = "resident pages of /proc/self/statm";
  out->heap = "data and stack pages of /proc/self/statm (VmData + VmStk)";
  out->heap_in_use = find_mallinfo2() != NULL ? "mallinfo2 (uordblks + hblkhd)" : NULL;
}

int lg_probe_set_statm_path(const char *path) {
  const char *wanted = path != NULL ? path : DEFAULT_PATH;
  size_t length = strlen(wanted);
  if (length == 0 || length >= sizeof statm_path) {
    return LG_BAD_ARGUMENT;
  }
  drop_kept();
  memcpy(statm_path, wanted, length + 1);
  return LG_OK;
}
