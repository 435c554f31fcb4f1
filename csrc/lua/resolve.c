/* Finds the Lua C API in a module: one that the wheel carries, or one of lupa's. */
#include <stdio.h>
#include <string.h>

#include "../guard/state.h"
#include "../os/library.h"
#include "lg_status.h"

/* Every instance: a file lua*.c beside this one, which lg_<instance>_resolve() is in (guard/ops.h). */
#define LG_INSTANCES(X) X(lua51) X(lua52) X(lua53) X(lua54) X(lua55) X(luajit20) X(luajit21)

#define LG_DECLARE(name)                                                                                               \
  const struct lg_ops *lg_##name##_resolve(void *(*lookup)(void *, const char *), void *handle, const char **missing);
LG_INSTANCES(LG_DECLARE)
#undef LG_DECLARE

static const struct {
  const char *name;
  const struct lg_ops *(*resolve)(void *(*lookup)(void *, const char *), void *handle, const char **missing);
} instances[] = {
#define LG_ENTRY(name) {#name, lg_##name##_resolve},
    LG_INSTANCES(LG_ENTRY)
#undef LG_ENTRY
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
