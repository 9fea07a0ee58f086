/* A dialect for tests: lines of text over WebSocket, with the subprotocol "toy". A frame may have
 * several lines, and a line several frames.
 *
 *   JOIN channel [since]   SAY channel data   LEAVE channel   WHO channel   PAST channel   PING */
#ifndef MOONWIRE_TEST_SUPPORT_TOY_DIALECT_H
#define MOONWIRE_TEST_SUPPORT_TOY_DIALECT_H

#include "dialect/dialect.h"

/* The native dialects, and that one. */
extern const struct dialect_table toy_dialects;

#endif
