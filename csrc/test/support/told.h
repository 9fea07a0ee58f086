/* What a peer of any transport was told, in short. Tests publish strings such as "a1": a letter and a number, which nothing else looks like. */
#ifndef MOONWIRE_TEST_SUPPORT_TOLD_H
#define MOONWIRE_TEST_SUPPORT_TOLD_H

#include "test/support/memory_peer.h"

struct told {
  char text[8192]; /* "a1 a2 gap b3 end ": messages, and the server's own events without "moonwire:" */
  char id[64];     /* the last id that came; kept from call to call */
};

/* Fetches everything that has come and appends it; `told->text` begins again if `peer` was looked at before. Returns the text. */
const char *told_fetch(struct told *told, struct memory_peer *peer);
/* Publishes the string `data`, with padding of so many bytes after it in the same message. */
void told_publish(struct mw_server *server, const char *channel, const char *data, size_t padding, struct mw_publish how);

#endif
