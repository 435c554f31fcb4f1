/* Why a call to Windows was refused. */
#ifndef LG_REFUSAL_WINDOWS_H
#define LG_REFUSAL_WINDOWS_H

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/* Its error number, never 0: the C runtime's own calls do not always leave one. */
static inline int lg_refusal(void) {
  DWORD code = GetLastError();
  return code != ERROR_SUCCESS ? (int)code : ERROR_NOT_ENOUGH_MEMORY;
}

#endif
