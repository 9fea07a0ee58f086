/* Whether what an app was told, what is subscribed, and what presence says are the same. The app says what it accepts; nothing here uses
 * the library's memory, which may be failing. Its channel names have at most 15 bytes. */
#ifndef MOONWIRE_TEST_SUPPORT_AGREEMENT_H
#define MOONWIRE_TEST_SUPPORT_AGREEMENT_H

#include "moonwire.h"

enum { AGREEMENT_MAX = 256 };

/* A client in a channel; a client alone (channel ""); or a channel alone (client ""). */
struct agreement_entry {
  char client[32], channel[16];
  int count; /* joins that were not left, connects that were not disconnected, opens that were not closed */
};

struct agreement {
  struct agreement_entry entries[AGREEMENT_MAX];
  size_t count;
};

/* The app is about to accept the request; false if it could not have been asked. If accepting fails it is taken back. */
bool agreement_accept(struct agreement *agreement, const struct mw_request *request, struct agreement_entry *noted);
void agreement_take_back(struct agreement *agreement, const struct agreement_entry *noted);
/* What does not agree, as text; NULL: everything does. Only while nothing is under way: no request, no queue, no dirty connection. */
const char *agreement_fault(struct agreement *agreement, struct mw_server *server);

#endif
