/* The messages and events that a peer of any transport has received, in short. Tests publish
 * strings such as "a1", a letter and a number, and no other text looks like that. */
#ifndef MOONWIRE_TEST_SUPPORT_TOLD_H
#define MOONWIRE_TEST_SUPPORT_TOLD_H

#include "test/support/memory_peer.h"

struct told_peer {
  /* "a1 a2 gap b3 end ": messages, and the server's own events without "moonwire:" */
  char text[8192];
  char id[64]; /* the last id; kept from call to call */
};

/* Reads everything that was received and appends it. Clears `told->text` first if `peer` was read
 * before. Returns the text. */
const char *told_fetch(struct told_peer *told, struct memory_peer *peer);
/* Publishes the string `data`, followed by `padding` bytes in the same message. */
void told_publish(struct mw_server *server, const char *channel, const char *data, size_t padding, struct mw_publish how);

#endif
