/* What the host gives a state for its scripts: its functions and what os.getenv() finds.
 *
 * Contract: the names are the state's own copies, and do not change while it lives. `args` and `result` belong to the call in
 * progress (host_call.h), on the run's thread. */
#ifndef LG_HOST_H
#define LG_HOST_H

#include "buf.h"

struct lg_host {
  int function_count; /* one whose name has a dot is for the library (stdlib/files.h), not for scripts */
  char **function_names;
  int environ_count; /* pairs name, value (stdlib/oslib.h) */
  char **environ_pairs;
  struct lg_buf args, result; /* wire bytes of the call in progress */
};

#endif
