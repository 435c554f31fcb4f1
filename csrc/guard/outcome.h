/* How runs end, as numbers that Python knows too. Includes nothing, so that builds without the guard have it as well. */
#ifndef LG_OUTCOME_H
#define LG_OUTCOME_H

/* Why a run ended. */
enum lg_outcome {
  LG_RUN_OK = 0,
  LG_RUN_SYNTAX,      /* message, line */
  LG_RUN_ERROR,       /* message, line, traceback; cause set when a callback's exception ended it */
  LG_RUN_MEMORY,      /* the script's memory limit */
  LG_RUN_NO_MEMORY,   /* the operating system refused memory */
  LG_RUN_TIMEOUT,     /* deadline */
  LG_RUN_INTERRUPTED, /* lg_interrupt() */
  LG_RUN_OUTPUT,      /* the output is larger than max_output */
  LG_RUN_DATA,        /* the output holds something that is not plain data: message, path */
  LG_RUN_CALLBACK,    /* a host function asked for the run to end */
  LG_RUN_CPU,         /* CPU time used up */
  LG_RUN_BUDGET,      /* instructions used up */
  LG_RUN_STILL,       /* max_instructions is set, and no instruction was executed for too long */
  LG_RUN_UNWATCHED    /* nothing ran: the watchdog could not be set up (os_error) */
};

/* How a limit ended a run. */
enum lg_stopped {
  LG_STOPPED_NOT = 0,
  LG_STOPPED_ERROR, /* by an error inside the script */
  LG_STOPPED_STATE  /* its state was thrown away */
};

#endif
