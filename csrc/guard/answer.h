/* What a run leaves for the host to read, until the next call.
 *
 * Contract: the run's own thread writes it; what is left out when memory is refused is said where it is written. */
#ifndef LG_ANSWER_H
#define LG_ANSWER_H

#include "buf.h"

/* The streams that a script writes to without a file; what it writes becomes log entries, one for each line. */
enum { LG_LINE_OUT, LG_LINE_ERR, LG_LINES };

/* What was written of a line that has not ended. */
struct lg_line {
  struct lg_buf text;
  int dropped; /* the line is beyond the bounds of the logs: it is counted, and the rest of it goes the same way */
};

struct lg_answer {
  struct lg_buf output;    /* wire bytes (pack.h) */
  struct lg_buf message;   /* of what failed (failure.h) */
  struct lg_buf traceback; /* of where it failed (place.h) */
  struct lg_buf path;      /* of what is not plain data (pack.h) */
  struct lg_buf logs;      /* wire bytes (stdlib/logs.h) */
  struct lg_line lines[LG_LINES];
  size_t log_entries; /* this run's */
  size_t log_bytes;   /* of their messages */
};

#endif
