/* Names of channels that the script remembers after the channels have ended. They are charged to
 * the client that named them, and to its address. */
#ifndef MOONWIRE_APP_LIMITS_NAME_HOLD_H
#define MOONWIRE_APP_LIMITS_NAME_HOLD_H

#include "app/app.h"

VISIBILITY_PUSH

extern const char names_refusal[]; /* the reason of a refusal, for clients */

struct name_hold {
  struct party *address, *client;
};

/* Charges the name to the client and its address. Returns 0, or MW_ELIMIT or MW_ENOMEM: then to
 * neither. */
int name_hold_take(struct app *app, struct name_hold *hold, enum party_good good, const struct mw_client *client);
void name_hold_release(struct app *app, struct name_hold *hold, enum party_good good);
/* Returns false if the client may not create that many more channels. */
bool name_hold_allows(struct app *app, const struct mw_client *client, size_t count);
/* Counts and logs that new channels were refused because of a limit. */
void name_hold_note_refusal(struct app *app, enum mw_limit limit, size_t max);

VISIBILITY_POP

#endif
