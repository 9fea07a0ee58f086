#include "server/errand.h"

#include <stdio.h>

#include "base/memory.h"

static struct mw_bytes place(char **at, struct bytes from) {
  struct mw_bytes copy = {*at, from.len};
  if (from.len > 0) memcpy(*at, from.ptr, from.len);
  *at += from.len;
  return copy;
}

struct http_copy *http_copy_new(const struct http_head *head, struct bytes path, struct bytes body, const char *remote) {
  size_t size = head->method.len + path.len + head->query.len + body.len + strlen(remote);
  for (size_t i = 0; i < head->field_count; i++) size += head->fields[i].name.len + head->fields[i].value.len;
  struct http_copy *copy = memory_alloc(sizeof *copy + head->field_count * sizeof *copy->fields + size);
  if (!copy) return NULL;
  char *at = (char *)&copy->fields[head->field_count];
  copy->http = (struct mw_http){.method = place(&at, head->method),
                                .path = place(&at, path),
                                .query = place(&at, head->query),
                                .body = place(&at, body),
                                .remote = place(&at, bytes_string(remote)),
                                .fields = copy->fields,
                                .field_count = head->field_count};
  for (size_t i = 0; i < head->field_count; i++) {
    copy->fields[i].name = place(&at, head->fields[i].name);
    copy->fields[i].value = place(&at, head->fields[i].value);
  }
  return copy;
}

static void copy_channels(struct errand *errand, const struct errand_channel *channels, size_t count) {
  errand->channels = (struct errand_channel *)(void *)(errand + 1);
  errand->channel_count = count;
  char *at = (char *)(errand->channels + count);
  for (size_t i = 0; i < count; i++) {
    struct mw_bytes name = place(&at, channels[i].name);
    errand->channels[i] = (struct errand_channel){.name = bytes_of(name.ptr, name.len), .kind = channels[i].kind};
  }
}

struct errand *errand_new(enum errand_type type, struct mw_config *config, struct mw_client *client, struct http_copy *http,
                          const struct errand_channel *channels, size_t channel_count) {
  size_t size = sizeof(struct errand) + channel_count * sizeof *channels;
  for (size_t i = 0; i < channel_count; i++) size += channels[i].name.len;
  struct errand *errand = memory_calloc(1, size);
  if (!errand) return NULL;
  atomic_init(&errand->refs, 1);
  atomic_init(&errand->cancelled, false);
  errand->type = type;
  errand->config = config_ref(config);
  errand->client = client ? mw_client_ref(client) : NULL;
  errand->http = http;
  errand->route = -1;
  list_init(&errand->link);
  list_init(&errand->request.link);
  copy_channels(errand, channels, channel_count);
  object_count(OBJECT_REQUEST, 1);
  return errand;
}

struct errand *errand_ref(struct errand *errand) {
  atomic_fetch_add_explicit(&errand->refs, 1, memory_order_relaxed);
  return errand;
}

void errand_unref(struct errand *errand) {
  if (!errand || atomic_fetch_sub_explicit(&errand->refs, 1, memory_order_acq_rel) != 1) return;
  for (size_t i = 0; i < errand->channel_count; i++) blob_unref(errand->channels[i].data);
  blob_unref(errand->fields);
  blob_unref(errand->body);
  memory_free(errand->http);
  mw_client_unref(errand->client);
  mw_config_unref(errand->config);
  object_count(OBJECT_REQUEST, -1);
  memory_free(errand);
}

bool errand_needs_script(const struct errand *errand) {
  bool asks = errand->type != ERRAND_JOIN || errand->config->options.authenticate;
  for (size_t i = 0; i < errand->channel_count; i++) asks = asks || errand->channels[i].kind->hooks != 0;
  return asks;
}

bool errand_is_membership(const struct errand *errand) {
  for (size_t i = 0; i < errand->channel_count; i++) {
    if (errand->channels[i].opened || errand->channels[i].joined) return true;
  }
  return errand->type == ERRAND_STREAM && !errand->fields;
}

void errand_refuse(struct errand *errand, int status, const char *code, const char *reason) {
  errand->status = status;
  snprintf(errand->code, sizeof errand->code, "%s", code);
  snprintf(errand->reason, sizeof errand->reason, "%s", reason);
}
