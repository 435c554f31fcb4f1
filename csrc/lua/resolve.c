/* Finds the Lua C API of one of lupa's extension modules, which is loaded already. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "../guard/state.h"
#include "lg_status.h"

typedef const struct lg_ops *(*resolve_fn)(void *(*lookup)(void *, const char *), void *handle, const char **missing);

const struct lg_ops *lg_lua51_resolve(void *(*)(void *, const char *), void *, const char **);
const struct lg_ops *lg_lua52_resolve(void *(*)(void *, const char *), void *, const char **);
const struct lg_ops *lg_lua53_resolve(void *(*)(void *, const char *), void *, const char **);
const struct lg_ops *lg_lua54_resolve(void *(*)(void *, const char *), void *, const char **);
const struct lg_ops *lg_lua55_resolve(void *(*)(void *, const char *), void *, const char **);
const struct lg_ops *lg_luajit20_resolve(void *(*)(void *, const char *), void *, const char **);
const struct lg_ops *lg_luajit21_resolve(void *(*)(void *, const char *), void *, const char **);

static const struct {
  const char *name;
  resolve_fn resolve;
} instances[] = {
    {"lua51", lg_lua51_resolve},       {"lua52", lg_lua52_resolve}, {"lua53", lg_lua53_resolve},
    {"lua54", lg_lua54_resolve},       {"lua55", lg_lua55_resolve}, {"luajit20", lg_luajit20_resolve},
    {"luajit21", lg_luajit21_resolve},
};

int lg_ops_resolve(const char *instance, const char *path, const struct lg_ops **ops, const char **missing) {
  for (size_t i = 0; i < sizeof instances / sizeof instances[0]; i++) {
    if (strcmp(instances[i].name, instance) != 0) continue;
    /* The handle is never closed: the functions found through it are used for as long as the process lives. */
    void *handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD | RTLD_LOCAL);
    if (handle == NULL) {
      *missing = "the module itself: it is not loaded";
      return LG_UNSUPPORTED;
    }
    *ops = instances[i].resolve(dlsym, handle, missing);
    return *ops == NULL ? LG_UNSUPPORTED : LG_OK;
  }
  return LG_BAD_ARGUMENT;
}
