/* The signal handlers that ours stands in front of, and the call of them.
 *
 * Contract: for tell_posix.c. lg_chain_depth() and lg_chain_call() are async-signal-safe, and called by our handler. The others
 * are called under the watchdog's mutex; a handler that runs meanwhile finds the chain as it was before or as it is after. */
#ifndef LG_CHAIN_POSIX_H
#define LG_CHAIN_POSIX_H

#include <signal.h>

/* How many calls of lg_chain_call() this thread is in. */
unsigned lg_chain_depth(void);

/* Somebody else's signal goes to the handler that was there last. One that was put over ours may pass it on to ours: that
 * call, inside of this one, goes to the one before, and so on, so that each is called once and none for ever. */
void lg_chain_call(int sig, siginfo_t *info, void *context);

/* Have the chain begin with this handler. When there have been too many different ones, it is left out. Returns what
 * lg_chain_restore() makes the chain what it was before with. */
unsigned lg_chain_add(const struct sigaction *found);
void lg_chain_restore(unsigned before);

#endif
