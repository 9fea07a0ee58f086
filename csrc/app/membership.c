#include "app/membership.h"

#include <assert.h>
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

struct bytes membership_reason(const struct membership *membership) {
  switch ((enum departure)membership->departure) {
    case DEPARTURE_SLOW: return BYTES("slow");
    case DEPARTURE_TIMEOUT: return BYTES("timeout");
    case DEPARTURE_STOPPING: return BYTES("stopping");
    case DEPARTURE_CLOSED: break;
  }
  return BYTES("closed");
}
