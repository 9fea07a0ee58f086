#include "server/broker/broker_members.h"

#include "base/log_limit.h"
#include "base/utf8.h"
#include "codec/json_scan.h"
#include "script/presence/presence.h"
#include "server/server.h"

/* What another node may send, at least. */
enum { TEXT_MAX = 1 << 20 };

int broker_members_join(struct broker_orderer *orderer, const struct order_join *join) {
  struct broker_join parts = {.channel = join->channel,
                              .user = join->user_id,
                              .info = join->info,
                              .members_max = join->members_max,
                              .on_done = join->on_done,
                              .context = join->context};
  return orderer->broker ? broker_join(orderer->broker, &parts) : MW_ECLOSED;
}

void broker_members_leave(struct broker_orderer *orderer, struct bytes channel, struct bytes user_id) {
  if (orderer->broker) broker_leave(orderer->broker, channel, user_id);
}

/* ---- What is reported ------------------------------------------------------------------------- */

struct reading {
  struct presence_report report;
  struct bytes changes;
  struct buffer info; /* of the latest change, without white space */
  size_t text_max;
};

/* Returns why a change cannot be used, or NULL. */
static const char *change_fault(const struct reading *reading, const struct broker_change *change) {
  struct json_value value;
  if (change->user.len == 0) return "a user id is empty";
  if (change->user.len > reading->text_max || change->info.len > reading->text_max)
    return "a user id or an info is larger than limits.message_size";
  if (!utf8_valid(change->user)) return "a user id is not UTF-8";
  if (change->info.len > 0 && !json_scan(change->info, &value, NULL)) return "an info is not valid JSON";
  return NULL;
}

static int next_change(struct presence_report *report, struct presence_change *out) {
  struct reading *reading = container_of(report, struct reading, report);
  struct broker_change change;
  while (broker_next_change(&reading->changes, &change)) {
    const char *fault = change_fault(reading, &change);
    if (fault) {
      log_limited(MW_LOG_WARNING, "ignored a member from redis: %s (channel=%.*s)", fault, (int)report->channel.len,
                  report->channel.ptr);
      continue;
    }
    buffer_clear(&reading->info);
    if (change.info.len > 0) json_write_compact(&reading->info, change.info);
    if (reading->info.failed) return MW_ENOMEM;
    *out = (struct presence_change){.user_id = change.user, .info = buffer_bytes(&reading->info), .left = change.left};
    return 1;
  }
  return 0;
}

static void warn_if_unlisted(const struct kind *kind, const struct broker_members *members) {
  if (!members->is_whole || members->is_listed || kind->presence != MW_PRESENCE_FULL) return;
  log_limited(MW_LOG_WARNING, "too many members to list those of other servers (channel=%.*s members=%zu)",
              (int)members->channel.len, members->channel.ptr, members->count);
}

void broker_members_take(struct broker_orderer *orderer, const struct broker_members *members) {
  struct mw_server *server = orderer->server;
  struct mw_config *config = app_hold_config(&server->app);
  const struct kind *kind = config_kind(config, members->channel);
  size_t message_max = config->options.limits.message_size;
  if (kind && kind->presence != MW_PRESENCE_NONE) {
    struct reading reading = {.report = {.channel = members->channel,
                                         .is_whole = members->is_whole,
                                         .is_listed = members->is_listed,
                                         .count = members->count,
                                         .next = next_change},
                              .changes = members->changes,
                              .text_max = message_max > TEXT_MAX ? message_max : TEXT_MAX};
    buffer_init(&reading.info);
    warn_if_unlisted(kind, members);
    int status = presence_report(&server->script, config, kind, &reading.report);
    if (status < 0) broker_read_members(orderer->broker, members->channel);
    buffer_deinit(&reading.info);
  }
  mw_config_unref(config);
}
