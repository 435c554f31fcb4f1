/* Which process this is: what a fork left behind is told by it. Any thread, signal-safe. */
#ifndef LG_PROCESS_H
#define LG_PROCESS_H

#ifdef _WIN32
#include <process.h>
static inline int lg_process(void) { return _getpid(); }
#else
#include <unistd.h>
static inline int lg_process(void) { return (int)getpid(); }
#endif

#endif
