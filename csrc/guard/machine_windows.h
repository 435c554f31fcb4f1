/* What machine_windows.c and tell_windows.c know of a thread that is suspended. */
#ifndef LG_MACHINE_WINDOWS_H
#define LG_MACHINE_WINDOWS_H

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/* The `context` of machine.h: where the thread is to go on when it is resumed. */
struct lg_held {
  CONTEXT registers;
  CONTEXT *saved; /* room for where it was, of the run; it lives until the thread is back there */
  int changed;    /* registers are to be set */
};

/* This thread, by a handle that others may use until the thread ends; NULL where the system refuses (GetLastError). The first call
 * on a thread takes a system call, later ones read a thread-local. */
HANDLE lg_thread_here(void);

#endif
