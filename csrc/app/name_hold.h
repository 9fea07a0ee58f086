/* Names of channels that the script remembers for longer than the channel lives: charged to the client that named it and to its address. */
#ifndef MOONWIRE_APP_NAME_HOLD_H
#define MOONWIRE_APP_NAME_HOLD_H

#include "app/app.h"

VISIBILITY_PUSH

extern const char names_refusal[]; /* the reason of a refusal, for clients */

struct name_hold {
  struct party *address, *client;
};

/* Charges it to the client and its address. MW_ELIMIT, MW_ENOMEM: to neither. */
int name_hold_take(struct app *app, struct name_hold *hold, enum party_good good, const struct mw_client *client);
void name_hold_release(struct app *app, struct name_hold *hold, enum party_good good);
/* False if the client may not bring so many channels more into being. */
bool name_hold_allows(struct app *app, const struct mw_client *client, size_t count);
/* Logs that new channels were refused because of a limit. */
void name_hold_log_refusal(const char *limit, size_t max);

VISIBILITY_POP

#endif
