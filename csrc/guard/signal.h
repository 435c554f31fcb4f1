/* The signal that tells a run's thread that the run is due. */
#ifndef LG_SIGNAL_H
#define LG_SIGNAL_H

/* Use another one than SIGURG. LG_OK; LG_BAD_ARGUMENT for one that cannot be used; LG_UNSUPPORTED when a run has begun with the
 * one before, or on Windows, where none is used. Any thread. */
int lg_watch_use_signal(int signal_number);

#endif
