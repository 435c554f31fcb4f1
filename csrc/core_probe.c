/* The table of lg_core.h where there is only the probe: Windows, whose lupa exports no Lua C API to stand on. */
#include "lg_core.h"

#include "guard/signal.h"
#include "lg_status.h"

int lg_watch_use_signal(int signal_number) {
  (void)signal_number;
  return LG_UNSUPPORTED;
}

static const struct lg_core core = {
    .magic = LG_CORE_MAGIC,
    .size = sizeof(struct lg_core),
    .probe_read = lg_probe_read,
};

const struct lg_core *lg_core_get(void) { return &core; }
