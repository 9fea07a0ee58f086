/* Strangers to the target `server`. Their requests are malformed, incomplete, or unusual, and must
 * not affect other peers. */
#ifndef MOONWIRE_FUZZ_SERVER_STRAY_H
#define MOONWIRE_FUZZ_SERVER_STRAY_H

#include "moonwire.h"

/* Connects with one of several requests, with one byte replaced (`at` is even) or without its end,
 * and disconnects. */
void stray(struct mw_server *server, unsigned which, unsigned at, unsigned byte);

#endif
