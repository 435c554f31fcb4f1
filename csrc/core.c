/* The one table through which _fast reaches the core; see lg_core.h. */
#include "lg_core.h"

#include "guard/state.h"

static void figures_of(const struct lg_state *st, struct lg_core_figures *figures) {
  *figures =
      (struct lg_core_figures){st->meter.current, lg_state_held(st), st->ending.hard_stops, lg_state_no_stop(st)};
}

static const struct lg_core core = {
    .magic = LG_CORE_MAGIC,
    .size = sizeof(struct lg_core),
    .probe_read = lg_probe_read,
    .state_new = lg_state_new,
    .state_free = lg_state_free,
    .state_interrupt = lg_state_interrupt,
    .state_figures = figures_of,
    .ops_resolve = lg_ops_resolve,
};

const struct lg_core *lg_core_get(void) { return &core; }
