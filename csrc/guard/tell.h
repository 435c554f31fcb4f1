/* How the watchdog has a run's `fire` called while the run's thread is at an instruction of its own. One file per system:
 * tell_posix.c sends the thread a signal, tell_windows.c suspends it.
 *
 * Contract
 * - lg_tell_enter() is called by the run's thread before the run is on its list, lg_tell() by the watchdog's thread, or the one
 *   that interrupts a run where there is no watchdog: both under the watchdog's mutex, so no run ends meanwhile.
 * - `fire` gets the reason, or LG_WATCH_TICK, and a context for machine.h; NULL where that of the thread is not known. Then
 *   nothing but the flag and the hook may be touched. While it is called, the run's thread executes nothing else. */
#ifndef LG_TELL_H
#define LG_TELL_H

#include "watchdog.h"

/* The run of this thread that began last; the others hang on it. A signal handler reads it. */
extern LG_SIGNAL_LOCAL struct lg_watch *lg_watch_current;

/* Make this thread one that can be told, and say so in w->told. 0 or an error number. */
int lg_tell_enter(struct lg_watch *w);

/* Have `fire` called for what the run is to be told: its reason, else a tick. */
void lg_tell(struct lg_watch *w);

/* Under the watchdog's mutex: lg_watch_use_signal(). */
int lg_tell_use_signal(int signal_number);

/* After lg_watch_leave() has synchronized with the watchdog: nothing that was told is on its way any more. */
void lg_tell_settle(void);

/* CPU time of the run's thread, as `fire` finds it, ns; -1 where the OS cannot say. */
int64_t lg_tell_cpu_ns(const struct lg_watch *w);

/* For the system's side: this thread ends in the midst of its runs. */
void lg_watch_leave_runs(void);

#endif
