/* Checks that the requests of an app, the subscriptions, and presence agree. The app reports what
 * it accepts. Nothing here allocates with the library, whose allocations may be failing. Names of
 * channels have at most 15 bytes. */
#ifndef MOONWIRE_TEST_SUPPORT_AGREEMENT_H
#define MOONWIRE_TEST_SUPPORT_AGREEMENT_H

#include "moonwire.h"

enum { AGREEMENT_MAX = 256 };

/* A client in a channel, a client alone (channel ""), or a channel alone (client ""). */
struct agreement_entry {
  char client[32], channel[16];
  int count; /* joins without a leave, connects without a disconnect, opens without a close */
};

struct agreement {
  struct agreement_entry entries[AGREEMENT_MAX];
  size_t count;
};

/* Call before the app accepts the request. Returns false if the request should not have been made.
 * `noted` receives the entry before the change; restore it if accepting fails. */
bool agreement_accept(struct agreement *agreement, const struct mw_request *request, struct agreement_entry *noted);
void agreement_take_back(struct agreement *agreement, const struct agreement_entry *noted);
/* Returns a difference as text, or NULL if everything agrees. Call it only while nothing is in
 * progress: no request, no queue, no marked connection. */
const char *agreement_fault(struct agreement *agreement, struct mw_server *server);

#endif
