/* Tickets: texts that identify a user once, for the URL of a stream or a WebSocket. On the script's
 * thread. */
#ifndef MOONWIRE_SCRIPT_TICKETS_H
#define MOONWIRE_SCRIPT_TICKETS_H

#include "app/client.h"
#include "base/table.h"

VISIBILITY_PUSH

enum { TICKET_LEN = 32, TICKETS_MAX = 100000, TICKET_MS_MAX = 3600 * 1000 };

struct tickets {
  struct table by_text;
  struct list all; /* in the order in which they were made */
};

/* What a ticket stands for. */
struct ticket {
  struct blob *user;   /* JSON, a reference */
  uint64_t expires_ms; /* of the token that the user comes from, since 1970; 0: without end */
};

void tickets_init(struct tickets *tickets);
void tickets_deinit(struct tickets *tickets);
/* Makes a ticket that is valid until `due_ms`; keeps the user. Returns 0, MW_EUNAVAILABLE (there
 * are TICKETS_MAX), or MW_ENOMEM. `text` has TICKET_LEN bytes. */
int tickets_make(struct tickets *tickets, const struct ticket *ticket, uint64_t due_ms, char *text);
/* Uses the ticket up. Returns false if there is none, or if it is due. The caller owns
 * ticket->user. */
bool tickets_redeem(struct tickets *tickets, struct bytes text, uint64_t now_ms, struct ticket *ticket);
/* Drops the tickets of a user. */
void tickets_drop_user(struct tickets *tickets, struct bytes user_id);
/* Called once a second: drops the tickets that are due. */
void tickets_expire(struct tickets *tickets, uint64_t now_ms);

VISIBILITY_POP

#endif
