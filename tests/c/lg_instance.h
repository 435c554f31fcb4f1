/* The calls of the one Lua that a driver is compiled for: LG_INSTANCE_UNDER_TEST, lua51 to luajit21. */
#ifndef LG_INSTANCE_H
#define LG_INSTANCE_H

#include "guard/state.h"

#define LG_CAT3_(a, b, c) a##b##c
#define LG_CAT3(a, b, c) LG_CAT3_(a, b, c)
#define LG_RESOLVE LG_CAT3(lg_, LG_INSTANCE_UNDER_TEST, _resolve)

const struct lg_ops *LG_RESOLVE(void *(*lookup)(void *, const char *), void *handle, const char **missing);

#endif
