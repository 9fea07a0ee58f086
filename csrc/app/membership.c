#include "app/membership.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "app/client.h"
#include "base/memory.h"
#include "codec/envelope.h"

static_assert(CHANNEL_NAME_MAX <= UINT8_MAX, "name_len");

struct membership *membership_new(struct mw_config *config, struct mw_client *client, const struct kind *kind,
                                  struct bytes name) {
  struct membership *membership = memory_calloc(1, offsetof(struct membership, name) + name.len);
  if (!membership) return NULL;
  membership->config = config_ref(config);
  membership->kind = kind;
  membership->client = mw_client_ref(client);
  membership->name_len = (uint8_t)name.len;
  if (name.len > 0) memcpy(membership->name, name.ptr, name.len);
  object_count(OBJECT_MEMBERSHIP, 1);
  return membership;
}

void membership_free(struct membership *membership) {
  if (!membership) return;
  blob_unref(membership->member);
  mw_client_unref(membership->client);
  mw_config_unref(membership->config);
  object_count(OBJECT_MEMBERSHIP, -1);
  memory_free(membership);
}

/* Clients do not return after these: the app does not want them, or not as who they are. */
enum { CODE_UNAUTHORIZED = 4401, CODE_KICKED = 4403 };

bool membership_is_final(const struct membership *membership) {
  bool is_sent_away = membership->close_code == CODE_UNAUTHORIZED || membership->close_code == CODE_KICKED;
  return membership->departure == DEPARTURE_KICKED || (membership->departure == DEPARTURE_BY_APP && is_sent_away);
}

void membership_reason(const struct membership *membership, char reason[MEMBERSHIP_REASON_MAX]) {
  static const char *const words[] = {
      [DEPARTURE_NONE] = "closed",       [DEPARTURE_CLOSED] = "closed",   [DEPARTURE_RESET] = "reset",
      [DEPARTURE_PROTOCOL] = "protocol", [DEPARTURE_TIMEOUT] = "timeout", [DEPARTURE_SLOW] = "slow",
      [DEPARTURE_STOPPING] = "stopping", [DEPARTURE_BY_APP] = "app",      [DEPARTURE_FAILED] = "failed",
      [DEPARTURE_EXPIRED] = "expired",   [DEPARTURE_KICKED] = "kicked",
  };
  bool has_code = membership->close_code != 0;
  int len = snprintf(reason, MEMBERSHIP_REASON_MAX, "%s", words[membership->departure]);
  if (has_code) snprintf(reason + len, MEMBERSHIP_REASON_MAX - (size_t)len, " %u", (unsigned)membership->close_code);
}
