/* The browser client, which the Makefile puts into the library. */
#ifndef MOONWIRE_TRANSPORT_CLIENT_FILES_H
#define MOONWIRE_TRANSPORT_CLIENT_FILES_H

#include "base/visibility.h"

VISIBILITY_PUSH

struct client_file {
  const unsigned char *text;
  unsigned long len;
  const char *tag; /* an entity tag, with its quotes */
};

extern const struct client_file client_module;  /* client/moonwire.js */
extern const struct client_file client_classic; /* client/moonwire.classic.js */

VISIBILITY_POP

#endif
