/* Strangers to the target `server`: their requests are malformed, cut off, or unusual, and nothing that they do may disturb the others. */
#ifndef MOONWIRE_FUZZ_SERVER_STRAY_H
#define MOONWIRE_FUZZ_SERVER_STRAY_H

#include "moonwire.h"

/* Comes with one of some requests, of which one byte is another (`at` is even) or the end is missing, and leaves. */
void stray(struct mw_server *server, unsigned which, unsigned at, unsigned byte);

#endif
