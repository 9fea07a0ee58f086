#include "app/name_hold.h"

#include "base/log_limit.h"

const char names_refusal[] = "too many channels: try again later";

void name_hold_log_refusal(const char *limit, size_t max) {
  log_limited(MW_LOG_WARNING, "refused new channels: limits.%s (%zu) reached", limit, max);
}

bool name_hold_allows(struct app *app, const struct mw_client *client, size_t count) {
  size_t max = app->config->options.limits.client_names;
  struct party_key key = party_key_of_client(client);
  if (party_has_room(&app->parties, &key, PARTY_NAMES, count, max)) return true;
  name_hold_log_refusal("client_names", max);
  return false;
}

int name_hold_take(struct app *app, struct name_hold *hold, enum party_good good, const struct mw_client *client) {
  const struct mw_limits *limits = &app->config->options.limits;
  struct party_key address = party_key_of_address(client->remote), key = party_key_of_client(client);
  int status = party_take(&app->parties, &address, good, 1, limits->address_names, &hold->address);
  if (status == MW_ELIMIT) name_hold_log_refusal("address_names", limits->address_names);
  if (status < 0) return status;
  status = party_take(&app->parties, &key, good, 1, limits->client_names, &hold->client);
  if (status == MW_ELIMIT) name_hold_log_refusal("client_names", limits->client_names);
  if (status < 0) name_hold_release(app, hold, good);
  return status;
}

void name_hold_release(struct app *app, struct name_hold *hold, enum party_good good) {
  party_release(&app->parties, hold->address, good, 1);
  party_release(&app->parties, hold->client, good, 1);
  *hold = (struct name_hold){NULL, NULL};
}
