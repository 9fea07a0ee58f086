#include "app/subscribe_query.h"

#include "codec/envelope.h"
#include "codec/http/query.h"

void subscribe_query_refuse(struct subscribe_query *query, int status, const char *reason) {
  if (query->status != 0) return;
  query->status = status;
  query->reason = reason;
}

/* Does the same for one name. If out of memory, the answer does not have it. */
static void refuse_name(struct subscribe_query *query, int status, const char *reason, struct bytes name) {
  if (query->status != 0) return;
  subscribe_query_refuse(query, status, reason);
  buffer_append(&query->refused, name);
  query->names_refused = !query->refused.failed;
}

/* The names are in one buffer, which may move while it grows: until all are read, they are found by
 * their lengths. */
static bool is_known(struct subscribe_query *query, struct bytes name) {
  size_t at = 0;
  for (size_t i = 0; i < query->channel_count; i++) {
    size_t len = subscribe_query_channels(query)[i].name.len;
    if (bytes_equal(bytes_of(query->names.data + at, len), name)) return true;
    at += len;
  }
  return false;
}

static void add_channel(struct subscribe_query *query, const struct mw_config *config, struct bytes name) {
  if (channel_name_fault(name)) {
    refuse_name(query, 400, channel_name_fault(name), name);
    return;
  }
  if (is_known(query, name)) return;
  struct job_channel channel = {.name = {NULL, name.len}, .kind = config_kind(config, name)};
  if (!channel.kind) {
    refuse_name(query, 404, "no channel pattern matches this name", name);
  } else if (query->channel_count >= config->options.limits.client_channels) {
    query->exceeds_channels = true;
    subscribe_query_refuse(query, 400, "too many channels: limits.client_channels");
  } else {
    buffer_append(&query->names, name);
    buffer_append(&query->channels, bytes_of((const char *)&channel, sizeof channel));
    if (query->names.failed || query->channels.failed) {
      subscribe_query_refuse(query, 503, "out of memory");
    } else {
      query->channel_count++;
    }
  }
}

/* Reads whole seconds, up to the limit. */
static void read_wait(struct subscribe_query *query, const struct mw_config *config, struct bytes text) {
  uint64_t most_ms = config->options.limits.poll_ms, seconds = 0;
  bool fine = text.len > 0;
  for (size_t i = 0; i < text.len; i++) {
    fine = fine && text.ptr[i] >= '0' && text.ptr[i] <= '9';
    if (seconds <= most_ms / 1000) seconds = seconds * 10 + (uint64_t)(text.ptr[i] - '0');
  }
  if (!fine) query->bad_wait = true;
  query->wait_ms = fine && seconds <= most_ms / 1000 ? seconds * 1000 : most_ms;
}

static void set_text(struct subscribe_query *query, struct buffer *to, struct bytes text) {
  buffer_clear(to);
  buffer_append(to, text);
  if (to->failed) subscribe_query_refuse(query, 503, "out of memory");
}

void subscribe_query_init(struct subscribe_query *query, const struct mw_config *config, struct limit_counts *counts,
                          struct bytes encoded) {
  *query = (struct subscribe_query){.wait_ms = config->options.limits.poll_ms};
  struct buffer name, value;
  buffer_init(&name);
  buffer_init(&value);
  while (query->status == 0 && query_next(&encoded, &name, &value)) {
    struct bytes key = buffer_bytes(&name), text = buffer_bytes(&value);
    if (name.failed || value.failed) {
      subscribe_query_refuse(query, 503, "out of memory");
    } else if (bytes_equal(key, BYTES("channel"))) {
      add_channel(query, config, text);
    } else if (bytes_equal(key, BYTES("lastEventId")) && text.len > 0) {
      query->has_last_id = true;
      set_text(query, &query->since, text);
    } else if (bytes_equal(key, BYTES("since")) && !query->has_last_id) {
      set_text(query, &query->since, text);
    } else if (bytes_equal(key, BYTES("client"))) {
      query->has_client = true;
      set_text(query, &query->client, text);
    } else if (bytes_equal(key, BYTES("wait"))) {
      read_wait(query, config, text);
    } else if (bytes_equal(key, BYTES("envelope"))) {
      query->envelope = bytes_equal(text, BYTES("1"));
    }
  }
  if (query->exceeds_channels) limit_count(counts, MW_LIMIT_CLIENT_CHANNELS);
  buffer_deinit(&name);
  buffer_deinit(&value);
  for (size_t i = 0, at = 0; i < query->channel_count; i++) {
    struct job_channel *channel = &subscribe_query_channels(query)[i];
    channel->name.ptr = query->names.data + at;
    at += channel->name.len;
  }
}

void subscribe_query_deinit(struct subscribe_query *query) {
  buffer_deinit(&query->names);
  buffer_deinit(&query->channels);
  buffer_deinit(&query->since);
  buffer_deinit(&query->client);
  buffer_deinit(&query->refused);
}
