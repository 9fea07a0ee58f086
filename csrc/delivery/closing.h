/* Why a stream is closed from this side. Each dialect has its own code for that. */
#ifndef MOONWIRE_DELIVERY_CLOSING_H
#define MOONWIRE_DELIVERY_CLOSING_H

#include "base/visibility.h"

VISIBILITY_PUSH

enum close_reason {
  CLOSE_STOPPING,     /* the server stops */
  CLOSE_SLOW,         /* more would be queued for the peer than its limit */
  CLOSE_BUSY,         /* the server cannot do it at the moment; the peer may try again */
  CLOSE_UNAUTHORIZED, /* the app does not accept who the peer says it is */
  CLOSE_UNCONNECTED,  /* the peer did not say who it is in time */
  CLOSE_UNFINISHED,   /* a message that the peer has begun did not come in time */
  CLOSE_TOO_LARGE,    /* a message that the peer has begun is too large */
  CLOSE_RATE,         /* the peer sends too often */
  CLOSE_BY_APP,       /* the app closes it, with a code of its own */
  CLOSE_EXPIRED       /* the token of the peer has expired */
};

struct closing {
  enum close_reason reason;
  unsigned code;    /* with CLOSE_BY_APP: a close code of WebSocket; else 0, or 1001 or 1012 with CLOSE_STOPPING */
  const char *text; /* for the peer; terminated, not NULL */
};

VISIBILITY_POP

#endif
