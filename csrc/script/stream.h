/* Raw event streams, as the app holds them. */
#ifndef MOONWIRE_SCRIPT_STREAM_H
#define MOONWIRE_SCRIPT_STREAM_H

#include "script/script.h"

VISIBILITY_PUSH

struct mw_follow;

struct mw_stream {
  struct app *app;
  struct script_job *job;   /* a reference */
  struct mw_follow *follow; /* what it follows; NULL: nothing */
  bool closed;              /* it has ended, and on_close was called */
  bool ended;               /* the app has ended it */
  void (*on_close)(void *context);
  void *context;
};

VISIBILITY_POP

#endif
