/* What the watchdog does when the process forks.
 *
 * Contract: for watchdog.c. What is done at a fork takes a mutex of its own before the watchdog's: one fork at a time ends the
 * thread. Both are held through the fork, so that the child finds the list whole. */
#ifndef LG_WATCH_FORK_H
#define LG_WATCH_FORK_H

/* Have forks seen to from now on. Under lg_watch_mutex, once per process. 0 or an error number. */
int lg_watch_handle_forks(void);

#endif
