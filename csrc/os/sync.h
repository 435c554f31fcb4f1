/* A mutex, a condition that one thread waits for, and a thread: what the two threads of this project need. One file per system,
 * sync_posix.h and sync_windows.h.
 *
 * Contract
 * - lg_mutex is made by LG_MUTEX_INIT, not recursive, and unlocked by the thread that locked it. lg_mutex_renew() is for the
 *   child of a fork: nobody holds it then.
 * - lg_event belongs to a mutex. lg_event_make() gives 0 or an error number; nothing needs to be made twice, and it is not
 *   destroyed. One thread waits for it at a time, under the mutex, which is free meanwhile; a wake-up before the wait is not
 *   lost as long as the mutex was held for both. It may wake up for nothing.
 * - lg_thread_start() gives 0 or an error number; the thread blocks every signal, and is joined by lg_thread_join() or never.
 * - lg_on_fork() has three functions called around every fork of this process, in the thread that forks. 0 or an error number; on
 *   a system without fork there is nothing to do.
 * - Any thread, not from a signal handler. */
#ifndef LG_SYNC_H
#define LG_SYNC_H

#include "clock.h"

#ifdef _WIN32
#include "sync_windows.h"
#else
#include "sync_posix.h"
#endif

#endif
