/* Values of no plain type on their way to Lua: mappings that are no dict, and what is refused.
 *
 * With the GIL. What such a value is, Python says (_binding.foreign_form), and that can run any code, which may change the
 * data that is being encoded. So it is asked between two walks over the data, never during one: a walk that meets
 * values which nobody has asked about yet is thrown away, and done again. */
#ifndef LG_FOREIGN_H
#define LG_FOREIGN_H

#include "../guard/buf.h"
#include "fast.h"

struct lg_foreign {
  struct lg_buf met; /* PyObject *, new references: what this walk met and `forms` lacks */
  PyObject *forms;   /* dict: a value's address -> (the value, its form); NULL while nothing was asked */
};

/* The form of `object`: 1 and a borrowed reference to a dict of what it holds, or to a text that says why it is refused;
 * 0 where nobody has asked yet, which is noted; -1 with MemoryError set. Runs no Python code. */
int lg_foreign_find(struct lg_foreign *foreign, PyObject *object, PyObject **form);

/* Whether the walk met values that are to be asked about. */
static inline int lg_foreign_met(const struct lg_foreign *foreign) { return foreign->met.len != 0; }

/* Ask about them. `root` is what the path of a refused value starts with. 0, or -1 with an exception: what their own
 * methods raise, too. */
int lg_foreign_ask(struct lg_foreign *foreign, struct lg_fast_state *state, const char *root);

/* Drop everything. */
void lg_foreign_free(struct lg_foreign *foreign);

#endif
