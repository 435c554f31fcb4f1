/* dlopen(3), dlsym(3). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "library.h"

void *lg_library_open(const char *path, char *why, size_t size) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library != NULL) return library;
  const char *said = dlerror();
  size_t n = said == NULL ? 0 : strlen(said);
  if (n >= size) n = size - 1;
  if (n > 0) memcpy(why, said, n);
  why[n] = '\0';
  return NULL;
}

void *lg_library_find(void *library, const char *name) { return dlsym(library, name); }

const void *lg_library_code(const char *name) { return dlsym(RTLD_DEFAULT, name); }
