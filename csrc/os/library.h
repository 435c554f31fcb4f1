/* Shared objects: loading one, and finding its functions. One file per system.
 *
 * Contract: any thread; not from a signal handler. A library that was opened is never closed: what was found in it is used for
 * as long as the process lives. */
#ifndef LG_LIBRARY_H
#define LG_LIBRARY_H

#include <stddef.h>

/* Load the shared object at `path` (UTF-8 on Windows, the system's bytes elsewhere), or find it loaded already. NULL when the
 * system refuses; its reason goes to `why`, NUL-terminated within `size`. */
void *lg_library_open(const char *path, char *why, size_t size);

/* The address of what it exports by that name, or NULL. */
void *lg_library_find(void *library, const char *name);

/* Whether a function that it exports is not the one it calls by that name: another library, loaded before with RTLD_GLOBAL, has it
 * too. Not on Windows and macOS, where a library's references name the library they mean. */
int lg_library_is_overlaid(void *library, const char *name);

/* The code of a function of the C library, the unwinder or Python, by name; NULL where none of them has it. */
const void *lg_library_code(const char *name);

#endif
