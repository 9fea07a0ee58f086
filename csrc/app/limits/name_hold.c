#include "app/limits/name_hold.h"

#include "base/log_limit.h"

const char names_refusal[] = "too many channels: try again later";

void name_hold_note_refusal(struct app *app, enum mw_limit limit, size_t max) {
  limit_count(&app->limits, limit);
  log_limited(MW_LOG_WARNING, "refused new channels: limits.%s (%zu) reached", mw_limit_name(limit), max);
}

bool name_hold_allows(struct app *app, const struct mw_client *client, size_t count) {
  struct mw_config *config = app_hold_config(app);
  size_t max = config->options.limits.client_names;
  mw_config_unref(config);
  struct party_key key = party_key_of_client(client);
  if (party_has_room(&app->parties, &key, PARTY_NAMES, count, max)) return true;
  name_hold_note_refusal(app, MW_LIMIT_CLIENT_NAMES, max);
  return false;
}

int name_hold_take(struct app *app, struct name_hold *hold, enum party_good good, const struct mw_client *client) {
  struct mw_config *config = app_hold_config(app);
  size_t address_max = config->options.limits.address_names, client_max = config->options.limits.client_names;
  mw_config_unref(config);
  struct party_key address = party_key_of_address(client->remote), key = party_key_of_client(client);
  int status = party_take(&app->parties, &address, good, 1, address_max, &hold->address);
  if (status == MW_ELIMIT) name_hold_note_refusal(app, MW_LIMIT_ADDRESS_NAMES, address_max);
  if (status < 0) return status;
  status = party_take(&app->parties, &key, good, 1, client_max, &hold->client);
  if (status == MW_ELIMIT) name_hold_note_refusal(app, MW_LIMIT_CLIENT_NAMES, client_max);
  if (status < 0) name_hold_release(app, hold, good);
  return status;
}

void name_hold_release(struct app *app, struct name_hold *hold, enum party_good good) {
  party_release(&app->parties, hold->address, good, 1);
  party_release(&app->parties, hold->client, good, 1);
  *hold = (struct name_hold){NULL, NULL};
}
