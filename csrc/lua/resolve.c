/* Finds the Lua C API in a module: one that the wheel carries, or one of lupa's. */
#include <stdio.h>
#include <string.h>

#include "../guard/state.h"
#include "../os/library.h"
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

int lg_ops_resolve(const char *instance, const char *path, const struct lg_ops **ops, const char **why) {
  static char text[512];
  for (size_t i = 0; i < sizeof instances / sizeof instances[0]; i++) {
    if (strcmp(instances[i].name, instance) != 0) continue;
    void *library = lg_library_open(path, text, sizeof text);
    *why = text;
    if (library == NULL) return LG_OS_ERROR;
    /* What the wheel carries binds its own functions. */
    if (lg_library_find(library, "luagauge_release") == NULL && lg_library_is_overlaid(library, "lua_newstate")) {
      *why = "the functions of another Lua, which was loaded with RTLD_GLOBAL, stand before its own";
      return LG_UNSUPPORTED;
    }
    const char *missing = "";
    *ops = instances[i].resolve(lg_library_find, library, &missing);
    if (*ops != NULL) return LG_OK;
    if (missing == NULL)
      *why = "another module serves this Lua in this process already";
    else
      (void)snprintf(text, sizeof text, "%s is missing", missing);
    return LG_UNSUPPORTED;
  }
  return LG_BAD_ARGUMENT;
}
