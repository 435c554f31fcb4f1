/* The status every luagauge C function returns; messages are made in Python. Includes nothing. */
#ifndef LG_STATUS_H
#define LG_STATUS_H

enum lg_status {
  LG_OK = 0,
  LG_UNSUPPORTED, /* this platform or Lua build has no such facility */
  LG_OS_ERROR,    /* an OS call failed; its code is in the os_error out-parameter */
  LG_BAD_DATA,    /* the OS answered with something that is not what its manual promises */
  LG_NO_MEMORY,   /* malloc refused the host (not a script's limit) */
  LG_BAD_ARGUMENT /* a caller's value is out of range */
};

#endif
