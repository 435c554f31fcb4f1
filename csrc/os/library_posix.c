/* dlopen(3), dlsym(3). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

#include "library.h"

void *lg_library_open(const char *path, char *why, size_t size) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library != NULL) return library;
  const char *said = dlerror(); // NOLINT(concurrency-mt-unsafe): each thread has its own on every system here
  (void)snprintf(why, size, "%s", said != NULL ? said : "dlopen(3) refused it");
  return NULL;
}

void *lg_library_find(void *library, const char *name) { return dlsym(library, name); }

int lg_library_is_overlaid(void *library, const char *name) {
#ifdef __APPLE__
  (void)library;
  (void)name;
  return 0;
#else
  const void *first = dlsym(RTLD_DEFAULT, name);
  return first != NULL && first != dlsym(library, name);
#endif
}

const void *lg_library_code(const char *name) { return dlsym(RTLD_DEFAULT, name); }
