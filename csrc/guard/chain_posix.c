#define _GNU_SOURCE
#include "chain_posix.h"

#include <stdatomic.h>
#include <stddef.h>

#include "../os/compiler.h"
#include "thread_posix.h"

/* What our handler stands in front of. A slot is written once, before `order` names it; slot 0 is none. Each
 * digit of `order` is a slot, the lowest the handler that was there last. */
enum { LG_EARLIER_MOST = 7, LG_DIGIT_BITS = 4, LG_DIGIT = 15 };
static struct sigaction earlier[LG_EARLIER_MOST + 1];
static unsigned earlier_count;
static atomic_uint order;

static LG_SIGNAL_LOCAL unsigned chained; /* how many calls of lg_chain_call() this thread is in */

#ifdef __APPLE__
/* The key's value in a thread that has run nothing says the same as `chained`: macOS only stores it. */
static const char levels[LG_EARLIER_MOST + 1];

unsigned lg_chain_depth(void) {
  if (lg_thread_ran()) return chained;
  const char *level = lg_thread_value();
  return level == NULL ? 0 : (unsigned)(level - levels);
}

/* 0 or an error number. */
static int set_chain_depth(unsigned depth) {
  if (!lg_thread_ran()) return lg_thread_set_value(depth == 0 ? NULL : levels + depth);
  chained = depth;
  return 0;
}
#else
unsigned lg_chain_depth(void) { return chained; }

static int set_chain_depth(unsigned depth) {
  chained = depth;
  return 0;
}
#endif

/* Call a handler as the system would: one that passes the signal on by raising it anew asks to get it at once. It would get
 * it for ever if it came later. */
static void call_handler(const struct sigaction *to, int sig, siginfo_t *info, void *context) {
  sigset_t set;
  sigset_t before;
  int open = to->sa_flags & SA_NODEFER;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, sig);
  if (open && pthread_sigmask(SIG_UNBLOCK, &set, &before) != 0) return;
  if (to->sa_flags & SA_SIGINFO)
    to->sa_sigaction(sig, info, context);
  else
    to->sa_handler(sig);
  if (open) (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void lg_chain_call(int sig, siginfo_t *info, void *context) {
  unsigned depth = lg_chain_depth();
  unsigned slot = depth < LG_EARLIER_MOST ? atomic_load(&order) >> (depth * LG_DIGIT_BITS) & LG_DIGIT : 0;
  const struct sigaction *to = &earlier[slot];
  /* Without SA_SIGINFO too the handler's address stands where sa_handler does. SIGURG's default is to do nothing. */
  if (slot == 0 || to->sa_handler == SIG_DFL || to->sa_handler == SIG_IGN) return;
  if (set_chain_depth(depth + 1) != 0) return;
  call_handler(to, sig, info, context);
  (void)set_chain_depth(depth);
}

static int same_handler(const struct sigaction *a, const struct sigaction *b) {
  const int flags = SA_SIGINFO | SA_NODEFER;
  if ((a->sa_flags & flags) != (b->sa_flags & flags)) return 0;
  return a->sa_flags & SA_SIGINFO ? a->sa_sigaction == b->sa_sigaction : a->sa_handler == b->sa_handler;
}

unsigned lg_chain_add(const struct sigaction *found) {
  unsigned before = atomic_load(&order);
  unsigned slot = 1;
  while (slot <= earlier_count && !same_handler(&earlier[slot], found)) slot++;
  if (slot > LG_EARLIER_MOST) return before;
  if (slot > earlier_count) earlier[++earlier_count] = *found;
  unsigned digits = slot;
  int bits = LG_DIGIT_BITS;
  for (unsigned rest = before; rest != 0; rest >>= LG_DIGIT_BITS) {
    if ((rest & LG_DIGIT) == slot) continue;
    digits |= (rest & LG_DIGIT) << bits;
    bits += LG_DIGIT_BITS;
  }
  atomic_store(&order, digits);
  return before;
}

void lg_chain_restore(unsigned before) { atomic_store(&order, before); }
