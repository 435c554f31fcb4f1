/* The list of the process's runs under watch, for the watchdog's own files.
 *
 * Contract: the list, and all of a run on it but for what is atomic, is under lg_watch_mutex. While a thread holds that, no run
 * ends, and so no run's thread. */
#ifndef LG_WATCH_LIST_H
#define LG_WATCH_LIST_H

#include "watchdog.h"

extern lg_mutex lg_watch_mutex;
extern struct lg_watch *lg_watch_runs; /* under the mutex */

/* After a fork: the child has one thread, and only that thread's runs. */
void lg_watch_keep_own(void);

#endif
