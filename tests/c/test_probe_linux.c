/* linux.c on the real /proc: true figures, and every way in which the kept descriptor can go wrong. */
#define _GNU_SOURCE

#include "probe/lg_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lg_test.h"

#define MIB ((size_t)1 << 20)

/* What the emulator of another CPU may take for itself meanwhile: its memory is in the process's figures. */
#ifdef LG_TEST_EMULATED
static const int64_t slack = 8 * (int64_t)MIB;
#else
static const int64_t slack = 0;
#endif

static int read_now(struct lg_probe_reading *out) {
  int os_error = -1;
  return lg_probe_read(out, &os_error);
}

/* The number of the descriptor that is open on a statm of process `pid` (0: of any), or -1. */
static int find_kept(pid_t pid) {
  char link[64];
  char target[256];
  char wanted[64];
  snprintf(wanted, sizeof wanted, "/proc/%ld/statm", (long)pid);
  for (int fd = 0; fd < 256; fd++) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length > 0) {
      target[length] = '\0';
      if (pid == 0 ? strstr(target, "/statm") != NULL : strcmp(target, wanted) == 0) {
        return fd;
      }
    }
  }
  return -1;
}

static double monotonic_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)((int64_t)now.tv_sec * 1000000000 + now.tv_nsec) / 1e9;
}

static void reads_true_figures(void) {
  struct lg_probe_reading before;
  struct lg_probe_reading after;
  double earlier = monotonic_now();
  CHECK_INT(read_now(&before), LG_OK);
  CHECK(before.timestamp >= earlier && before.timestamp <= monotonic_now());
  char *block = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(block != MAP_FAILED);
  memset(block, 1, 64 * MIB);
  CHECK_INT(read_now(&after), LG_OK);
  CHECK(after.rss_bytes - before.rss_bytes >= (int64_t)(63 * MIB));
  CHECK(after.rss_bytes - before.rss_bytes <= (int64_t)(66 * MIB) + slack);
  int64_t grown = after.heap_bytes - before.heap_bytes;
  CHECK(grown >= (int64_t)(64 * MIB) && grown <= (int64_t)(64 * MIB) + slack);
  munmap(block, 64 * MIB);
  CHECK_INT(read_now(&after), LG_OK);
  CHECK(after.heap_bytes >= before.heap_bytes && after.heap_bytes <= before.heap_bytes + slack);
}

static void keeps_one_descriptor_closed_on_exec(void) {
  struct lg_probe_reading reading;
  CHECK_INT(read_now(&reading), LG_OK);
  int fd = find_kept(getpid());
  CHECK(fd >= 0);
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  for (int i = 0; i < 1000; i++) {
    CHECK_INT(read_now(&reading), LG_OK);
  }
  CHECK_INT(find_kept(getpid()), fd);
  CHECK(fcntl(fd + 1, F_GETFD) == -1);
}

static void survives_a_closed_descriptor(void) {
  struct lg_probe_reading reading;
  CHECK_INT(read_now(&reading), LG_OK);
  close(find_kept(getpid()));
  CHECK_INT(find_kept(getpid()), -1);
  CHECK_INT(read_now(&reading), LG_OK);
  CHECK(find_kept(getpid()) >= 0);
}

static void leaves_a_reused_number_alone(void) {
  struct lg_probe_reading reading;
  char text[8] = {0};
  CHECK_INT(read_now(&reading), LG_OK);
  int fd = find_kept(getpid());
  int other = memfd_create("other", 0);
  CHECK(write(other, "garbage", 7) == 7);
  CHECK_INT(dup2(other, fd), fd);
  CHECK_INT(read_now(&reading), LG_OK);
  CHECK(find_kept(getpid()) >= 0 && find_kept(getpid()) != fd);
  CHECK_INT(pread(fd, text, 7, 0), 7); /* still open, and still the other file */
  CHECK(strcmp(text, "garbage") == 0);
  close(fd);
  close(other);
  /* The same with a file that cannot be read at an offset at all. */
  int ends[2];
  fd = find_kept(getpid());
  CHECK_INT(pipe(ends), 0);
  CHECK_INT(dup2(ends[0], fd), fd);
  CHECK_INT(read_now(&reading), LG_OK);
  close(fd);
  close(ends[0]);
  close(ends[1]);
}

static int read_from(const char *path, int *os_error) {
  struct lg_probe_reading reading = {11, 22, 33.0};
  CHECK_INT(lg_probe_set_statm_path(path), LG_OK);
  *os_error = -1;
  int status = lg_probe_read(&reading, os_error);
  CHECK(status == LG_OK || (reading.rss_bytes == 11 && reading.heap_bytes == 22 && reading.timestamp == 33.0));
  CHECK_INT(lg_probe_set_statm_path(NULL), LG_OK);
  return status;
}

static int read_text(const char *text, int *os_error) {
  char path[] = "/tmp/lg_statm_XXXXXX"; /* mkstemp() makes a name of it */
  int fd = mkstemp(path);
  CHECK(fd >= 0);
  CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
  int status = read_from(path, os_error);
  unlink(path);
  return status;
}

static void reports_what_cannot_be_read(void) {
  int os_error = 0;
  CHECK_INT(read_from("/no/such/statm", &os_error), LG_UNSUPPORTED);
  CHECK_INT(os_error, ENOENT);
  CHECK_INT(read_from("/dev/null/statm", &os_error), LG_UNSUPPORTED);
  CHECK_INT(os_error, ENOTDIR);
  CHECK_INT(read_from("/proc/self/mem", &os_error), LG_OS_ERROR); /* page 0 is not mapped */
  CHECK_INT(os_error, EIO);
  CHECK_INT(read_from("/proc/self", &os_error), LG_OS_ERROR);
  CHECK_INT(os_error, EISDIR);
  CHECK_INT(read_from("/dev/null", &os_error), LG_BAD_DATA);
  CHECK_INT(os_error, 0);
  CHECK_INT(read_from("/proc/self/status", &os_error), LG_BAD_DATA);
  CHECK_INT(read_text("100 nonsense 3 4 5 6 7\n", &os_error), LG_BAD_DATA);
  CHECK_INT(read_text("9999999999999999999 9999999999999999999 0 0 0 0 0\n", &os_error), LG_BAD_DATA);
  CHECK_INT(read_text("90 9 0 0 0 9999999999999999999 0\n", &os_error), LG_BAD_DATA);
  CHECK_INT(find_kept(0), -1); /* none of these was kept */
  struct lg_probe_reading reading;
  CHECK_INT(read_now(&reading), LG_OK);
}

static void reads_a_statm_without_data_as_unknown_heap(void) {
  struct lg_probe_reading reading;
  char path[] = "/tmp/lg_statm_XXXXXX"; /* mkstemp() makes a name of it */
  int fd = mkstemp(path);
  CHECK(write(fd, "90 20 0 0 0 0 0\n", 16) == 16);
  close(fd);
  CHECK_INT(lg_probe_set_statm_path(path), LG_OK);
  CHECK_INT(read_now(&reading), LG_OK);
  CHECK_INT(reading.rss_bytes, 20 * sysconf(_SC_PAGESIZE));
  CHECK_INT(reading.heap_bytes, LG_PROBE_UNKNOWN);
  CHECK_INT(lg_probe_set_statm_path(NULL), LG_OK);
  unlink(path);
}

static void refuses_unusable_paths(void) {
  char path[8192];
  struct lg_probe_reading reading;
  memset(path, 'x', sizeof path - 1);
  path[sizeof path - 1] = '\0';
  CHECK_INT(lg_probe_set_statm_path(path), LG_BAD_ARGUMENT);
  CHECK_INT(lg_probe_set_statm_path(""), LG_BAD_ARGUMENT);
  CHECK_INT(read_now(&reading), LG_OK); /* the path is what it was */
}

static void reports_a_full_descriptor_table(void) {
  struct rlimit old;
  struct lg_probe_reading reading;
  int os_error = 0;
  CHECK_INT(lg_probe_set_statm_path(NULL), LG_OK); /* drops the kept one */
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
  struct rlimit none = {.rlim_cur = 0, .rlim_max = old.rlim_max};
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
  int status = lg_probe_read(&reading, &os_error);
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
  CHECK_INT(status, LG_OS_ERROR);
  CHECK_INT(os_error, EMFILE);
  CHECK_INT(read_now(&reading), LG_OK);
}

/* In the child: its own figures, its own descriptor, the parent's closed. The exit code says what was wrong. */
static int check_child(pid_t parent, int64_t parent_heap, int reused) {
  struct lg_probe_reading reading;
  char *block = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED || find_kept(parent) != -1) {
    return 1;
  }
  if (read_now(&reading) != LG_OK) {
    return 2;
  }
  int64_t grown = reading.heap_bytes - parent_heap;
  if (grown < (int64_t)(32 * MIB) || grown > (int64_t)(32 * MIB) + slack) {
    return 3; /* the parent's figure would not have grown */
  }
  if (find_kept(getpid()) == -1) {
    return 4;
  }
  return reused >= 0 && fcntl(reused, F_GETFD) == -1 ? 5 : 0;
}

static void fork_and_check(int reused) {
  struct lg_probe_reading reading;
  pid_t parent = getpid();
  CHECK_INT(read_now(&reading), LG_OK);
  pid_t child = fork();
  if (child == 0) {
    _exit(check_child(parent, reading.heap_bytes, reused));
  }
  int status = -1;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
  CHECK_INT(read_now(&reading), LG_OK);
}

static void shows_a_forked_child_itself(void) {
  fork_and_check(-1);
  /* The number now belongs to another file when fork comes: the child must not close that. */
  struct lg_probe_reading reading;
  CHECK_INT(read_now(&reading), LG_OK);
  int fd = find_kept(getpid());
  int other = open("/dev/null", O_RDONLY);
  CHECK_INT(dup2(other, fd), fd);
  pid_t child = fork();
  if (child == 0) {
    _exit(fcntl(fd, F_GETFD) == -1 ? 5 : 0);
  }
  int status = -1;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  close(fd);
  close(other);
  fork_and_check(-1);
}

/* Counts wrong figures and wrong errors. EBADF is right: the closing thread may hit a descriptor so new that no reading
 * has been taken from it yet. */
static void *read_often(void *failures) {
  for (int i = 0; i < 20000; i++) {
    struct lg_probe_reading reading = {0, 0, 0.0};
    int os_error = 0;
    int status = lg_probe_read(&reading, &os_error);
    int plausible = reading.rss_bytes > 0 && reading.rss_bytes < (int64_t)1 << 40 && reading.heap_bytes > 0;
    if (!(status == LG_OK && plausible) && !(status == LG_OS_ERROR && os_error == EBADF)) {
      ++*(int *)failures;
    }
  }
  return NULL;
}

static void serves_threads_while_its_descriptor_is_closed(void) {
  pthread_t threads[4];
  int failures[4] = {0, 0, 0, 0};
  for (int i = 0; i < 4; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, read_often, &failures[i]), 0);
  }
  for (int i = 0; i < 50; i++) {
    int fd = find_kept(getpid());
    if (fd >= 0) {
      close(fd);
    }
  }
  for (int i = 0; i < 4; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(failures[i], 0);
  }
  struct lg_probe_reading reading;
  CHECK_INT(read_now(&reading), LG_OK);
}

static void counts_allocated_bytes(void) {
  int os_error = 0;
  int64_t before = 0;
  struct lg_probe_description description;
  lg_probe_describe(&description);
  int status = lg_probe_heap_in_use(&before, &os_error);
  if (description.heap_in_use == NULL) { /* musl, a glibc before 2.33, or a malloc that is not glibc's */
    CHECK_INT(status, LG_UNSUPPORTED);
    CHECK_INT(before, 0);
    return;
  }
#ifdef LG_TEST_SANITIZED
  CHECK(status != LG_OK); /* AddressSanitizer's allocator stands in front of glibc's, which has nothing to count */
#else
  int64_t after = 0;
  CHECK_INT(status, LG_OK);
  char *volatile small = malloc(100000); /* volatile: a compiler may leave out an allocation that nobody looks at */
  char *volatile large = malloc(40 * MIB);
  CHECK(small != NULL && large != NULL);
  CHECK_INT(lg_probe_heap_in_use(&after, &os_error), LG_OK);
  CHECK(after - before >= (int64_t)(100000 + 40 * MIB) && after - before < (int64_t)(100000 + 41 * MIB));
  free(small);
  free(large);
#endif
}

static void describes_itself(void) {
  struct lg_probe_description description;
  lg_probe_describe(&description);
  CHECK(strcmp(description.platform, "linux") == 0);
  CHECK(description.rss != NULL && description.heap != NULL);
}

int main(void) {
  reads_true_figures();
  keeps_one_descriptor_closed_on_exec();
  survives_a_closed_descriptor();
  leaves_a_reused_number_alone();
  reports_what_cannot_be_read();
  reads_a_statm_without_data_as_unknown_heap();
  refuses_unusable_paths();
  reports_a_full_descriptor_table();
  shows_a_forked_child_itself();
  serves_threads_while_its_descriptor_is_closed();
  counts_allocated_bytes();
  describes_itself();
  return lg_test_finish("test_probe_linux");
}
