#include "server/wish.h"

#include "codec/envelope.h"
#include "codec/query.h"

void wish_refuse(struct wish *wish, int status, const char *reason) {
  if (wish->status != 0) return;
  wish->status = status;
  wish->reason = reason;
}

/* The same for one name. Without memory for it the answer does not tell it. */
static void refuse_name(struct wish *wish, int status, const char *reason, struct bytes name) {
  if (wish->status != 0) return;
  wish_refuse(wish, status, reason);
  buffer_append(&wish->refused, name);
  wish->names_refused = !wish->refused.failed;
}

/* The names lie in one buffer, which may move while it grows: until all are there they are found by their lengths. */
static bool is_known(struct wish *wish, struct bytes name) {
  size_t at = 0;
  for (size_t i = 0; i < wish->channel_count; i++) {
    size_t len = wish_channels(wish)[i].name.len;
    if (bytes_equal(bytes_of(wish->names.data + at, len), name)) return true;
    at += len;
  }
  return false;
}

static void add_channel(struct wish *wish, const struct mw_config *config, struct bytes name) {
  if (channel_name_fault(name)) {
    refuse_name(wish, 400, channel_name_fault(name), name);
    return;
  }
  if (is_known(wish, name)) return;
  struct errand_channel channel = {.name = {NULL, name.len}, .kind = config_kind(config, name)};
  if (!channel.kind) {
    refuse_name(wish, 404, "there is no such channel", name);
  } else if (wish->channel_count >= config->options.limits.client_channels) {
    wish_refuse(wish, 400, "too many channels");
  } else {
    buffer_append(&wish->names, name);
    buffer_append(&wish->channels, bytes_of((const char *)&channel, sizeof channel));
    if (wish->names.failed || wish->channels.failed) {
      wish_refuse(wish, 503, "no memory");
    } else {
      wish->channel_count++;
    }
  }
}

/* Whole seconds; more than may be is as much as may be. */
static void read_wait(struct wish *wish, const struct mw_config *config, struct bytes text) {
  uint64_t most_ms = config->options.limits.poll_ms, seconds = 0;
  bool fine = text.len > 0;
  for (size_t i = 0; i < text.len; i++) {
    fine = fine && text.ptr[i] >= '0' && text.ptr[i] <= '9';
    if (seconds <= most_ms / 1000) seconds = seconds * 10 + (uint64_t)(text.ptr[i] - '0');
  }
  if (!fine) wish->bad_wait = true;
  wish->wait_ms = fine && seconds <= most_ms / 1000 ? seconds * 1000 : most_ms;
}

static void set_text(struct wish *wish, struct buffer *to, struct bytes text) {
  buffer_clear(to);
  buffer_append(to, text);
  if (to->failed) wish_refuse(wish, 503, "no memory");
}

void wish_init(struct wish *wish, const struct mw_config *config, struct bytes query) {
  *wish = (struct wish){.wait_ms = config->options.limits.poll_ms};
  struct buffer name, value;
  buffer_init(&name);
  buffer_init(&value);
  while (wish->status == 0 && query_next(&query, &name, &value)) {
    struct bytes key = buffer_bytes(&name), text = buffer_bytes(&value);
    if (name.failed || value.failed) {
      wish_refuse(wish, 503, "no memory");
    } else if (bytes_equal(key, BYTES("channel"))) {
      add_channel(wish, config, text);
    } else if (bytes_equal(key, BYTES("lastEventId")) && text.len > 0) {
      wish->has_last_id = true;
      set_text(wish, &wish->since, text);
    } else if (bytes_equal(key, BYTES("since")) && !wish->has_last_id) {
      set_text(wish, &wish->since, text);
    } else if (bytes_equal(key, BYTES("client"))) {
      wish->has_client = true;
      set_text(wish, &wish->client, text);
    } else if (bytes_equal(key, BYTES("wait"))) {
      read_wait(wish, config, text);
    } else if (bytes_equal(key, BYTES("envelope"))) {
      wish->envelope = bytes_equal(text, BYTES("1"));
    }
  }
  buffer_deinit(&name);
  buffer_deinit(&value);
  for (size_t i = 0, at = 0; i < wish->channel_count; i++) {
    struct errand_channel *channel = &wish_channels(wish)[i];
    channel->name.ptr = wish->names.data + at;
    at += channel->name.len;
  }
}

void wish_deinit(struct wish *wish) {
  buffer_deinit(&wish->names);
  buffer_deinit(&wish->channels);
  buffer_deinit(&wish->since);
  buffer_deinit(&wish->client);
  buffer_deinit(&wish->refused);
}
