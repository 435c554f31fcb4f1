/* What ISO C has no word for, by compiler: gcc and clang on one side, MSVC on the other. Nothing else of the core names an
 * extension, but for files of one system. */
#ifndef LG_COMPILER_H
#define LG_COMPILER_H

#include <stdint.h>

#ifdef _MSC_VER
#include <intrin.h>
#define LG_NOINLINE __declspec(noinline)
#define LG_NORETURN __declspec(noreturn)
#define LG_UNUSED
#define LG_THREAD_LOCAL __declspec(thread)
#define LG_LIKELY(x) (x)
#define LG_UNLIKELY(x) (x)
/* An address in the frame of the function that asks, or at its end. */
#define LG_FRAME_ADDRESS() ((uintptr_t)_AddressOfReturnAddress())
#else
#define LG_NOINLINE __attribute__((noinline))
#define LG_NORETURN __attribute__((noreturn))
#define LG_UNUSED __attribute__((unused))
#define LG_THREAD_LOCAL _Thread_local
#define LG_LIKELY(x) __builtin_expect(!!(x), 1)
#define LG_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define LG_FRAME_ADDRESS() ((uintptr_t)__builtin_frame_address(0))
#endif

/* A thread-local that a signal handler reads must not be allocated lazily: on glibc it lives in the static TLS block, and musl
 * allocates every thread's TLS when the library is loaded. macOS allocates a thread's at its first use. */
#ifdef __GLIBC__
#define LG_SIGNAL_LOCAL __attribute__((tls_model("initial-exec"))) _Thread_local
#else
#define LG_SIGNAL_LOCAL LG_THREAD_LOCAL
#endif

/* What stands between the names in a path, as Lua's package.config says it. */
#ifdef _WIN32
#define LG_DIRECTORY_SEPARATOR "\\"
#else
#define LG_DIRECTORY_SEPARATOR "/"
#endif

/* How many zeros are above the highest, below the lowest bit that is set. One must be. */
static inline unsigned lg_high_zeros(uint64_t x) {
#ifdef _MSC_VER
  unsigned long at = 0;
  (void)_BitScanReverse64(&at, x);
  return 63u - (unsigned)at;
#else
  return (unsigned)__builtin_clzll(x);
#endif
}

static inline unsigned lg_low_zeros(uint64_t x) {
#ifdef _MSC_VER
  unsigned long at = 0;
  (void)_BitScanForward64(&at, x);
  return (unsigned)at;
#else
  return (unsigned)__builtin_ctzll(x);
#endif
}

#endif
