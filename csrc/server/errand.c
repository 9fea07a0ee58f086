#include "server/errand.h"

#include <stdio.h>

#include "base/memory.h"
#include "codec/query.h"
#include "codec/verb.h"
#include "server/socket.h"
#include "server/stream_handle.h"

static struct mw_bytes place(char **at, struct bytes from) {
  struct mw_bytes copy = {*at, from.len};
  if (from.len > 0) memcpy(*at, from.ptr, from.len);
  *at += from.len;
  return copy;
}

static bool find_query(struct bytes query, struct bytes key, struct buffer *value) {
  struct buffer name;
  bool found = false;
  buffer_init(&name);
  while (!found && query_next(&query, &name, value)) found = bytes_equal(buffer_bytes(&name), key) && !value->failed;
  buffer_deinit(&name);
  return found;
}

struct http_copy *http_copy_new(const struct http_head *head, struct bytes path, struct bytes body, const char *remote) {
  struct bytes token = http_head_bearer(head);
  struct buffer query_token;
  buffer_init(&query_token);
  if (token.len == 0 && find_query(head->query, BYTES("token"), &query_token)) token = buffer_bytes(&query_token);
  size_t size = token.len + head->method.len + path.len + head->query.len + body.len + strlen(remote);
  for (size_t i = 0; i < head->field_count; i++) size += head->fields[i].name.len + head->fields[i].value.len;
  size += sizeof(struct http_copy) + head->field_count * sizeof(struct mw_http_field);
  struct http_copy *copy = memory_alloc(size);
  if (!copy) goto done;
  copy->size = size;
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
  copy->http.token = place(&at, token);
done:
  buffer_deinit(&query_token);
  return copy;
}

struct http_copy *http_copy_essence(const struct http_copy *from) {
  struct http_field fields[2];
  const struct mw_http *http = &from->http;
  struct http_head head = {.method = bytes_of(http->method.ptr, http->method.len), .fields = fields};
  for (size_t i = 0; i < http->field_count; i++) {
    struct bytes name = bytes_of(http->fields[i].name.ptr, http->fields[i].name.len);
    bool is_kept = bytes_equal_nocase(name, BYTES("host")) || bytes_equal_nocase(name, BYTES("origin"));
    if (!is_kept || head.field_count == 2) continue; /* there is at most one of each */
    fields[head.field_count++] = (struct http_field){name, bytes_of(http->fields[i].value.ptr, http->fields[i].value.len)};
  }
  char remote[REMOTE_MAX];
  snprintf(remote, sizeof remote, "%.*s", (int)http->remote.len, http->remote.ptr);
  return http_copy_new(&head, bytes_of(http->path.ptr, http->path.len), bytes_of(NULL, 0), remote);
}

static void copy_channels(struct errand *errand, const struct errand_channel *channels, size_t count) {
  errand->channels = (struct errand_channel *)(void *)(errand + 1);
  errand->channel_count = count;
  char *at = (char *)(errand->channels + count);
  for (size_t i = 0; i < count; i++) {
    struct mw_bytes name = place(&at, channels[i].name);
    errand->channels[i] =
        (struct errand_channel){.name = bytes_of(name.ptr, name.len), .kind = channels[i].kind, .is_new = channels[i].is_new};
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
  errand->request.errand = errand;
  list_init(&errand->link);
  list_init(&errand->request.link);
  errand->answered = &errand_unheard;
  buffer_init(&errand->input);
  copy_channels(errand, channels, channel_count);
  object_count(OBJECT_REQUEST, 1);
  return errand;
}

struct http_copy *http_copy_with_token(const struct http_copy *from, struct bytes token) {
  if (token.len == 0) token = bytes_of(from->http.token.ptr, from->http.token.len);
  size_t size = from->size + token.len;
  struct http_copy *copy = memory_alloc(size);
  if (!copy) return NULL;
  memcpy(copy, from, from->size);
  /* What points into the copy's own memory moves with it. */
  ptrdiff_t shift = (char *)copy - (const char *)from;
  struct mw_bytes *own[] = {&copy->http.method, &copy->http.path, &copy->http.query, &copy->http.body, &copy->http.remote};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) own[i]->ptr += shift;
  for (size_t i = 0; i < copy->http.field_count; i++) {
    copy->fields[i].name.ptr += shift;
    copy->fields[i].value.ptr += shift;
  }
  copy->http.fields = copy->fields;
  char *at = (char *)copy + from->size;
  copy->http.token = place(&at, token);
  copy->size = size;
  return copy;
}

int errand_set_message(struct errand *errand, const struct verb *verb) {
  struct bytes data = verb->is_binary ? verb->payload : verb->data.raw;
  if (!verb->is_binary && data.len == 0) data = BYTES("null");
  errand->text = blob_new(bytes_of(NULL, verb->event.len + verb->idempotency_key.len + data.len));
  if (!errand->text) return MW_ENOMEM;
  char *at = errand->text->data;
  errand->message.event = place(&at, verb->event);
  struct mw_bytes key = place(&at, verb->idempotency_key);
  errand->idempotency_key = bytes_of(key.ptr, key.len);
  struct mw_bytes copy = place(&at, data);
  errand->message.is_binary = verb->is_binary;
  *(verb->is_binary ? &errand->message.binary : &errand->message.data) = copy;
  return 0;
}

struct errand *errand_ref(struct errand *errand) {
  atomic_fetch_add_explicit(&errand->refs, 1, memory_order_relaxed);
  return errand;
}

static struct mail *take_held(struct errand *errand) {
  struct mail *mail = errand->held;
  if (mail) errand->held = mail->next;
  return mail;
}

static void drop_held(struct errand *errand) {
  struct mail *mail;
  while ((mail = take_held(errand)) != NULL) mail->class->drop(mail);
}

void errand_unref(struct errand *errand) {
  if (!errand || atomic_fetch_sub_explicit(&errand->refs, 1, memory_order_acq_rel) != 1) return;
  for (size_t i = 0; i < errand->channel_count; i++) {
    blob_unref(errand->channels[i].data);
    blob_unref(errand->channels[i].member);
    blob_unref(errand->channels[i].info);
  }
  drop_held(errand);
  blob_unref(errand->text);
  buffer_deinit(&errand->input);
  mw_socket_unref(errand->socket);
  blob_unref(errand->fields);
  blob_unref(errand->body);
  memory_free(errand->http);
  mw_client_unref(errand->client);
  mw_config_unref(errand->config);
  object_count(OBJECT_REQUEST, -1);
  memory_free(errand);
}

void errand_drop(struct errand *errand) {
  if (errand->type == ERRAND_STREAM) stream_handle_closed(errand);
  errand_unref(errand);
}

void errand_hold(struct errand *errand, struct mail *mail) {
  mail->next = NULL;
  *(errand->held ? &errand->held_last->next : &errand->held) = mail;
  errand->held_last = mail;
}

void errand_release_held(struct errand *errand, void *room, const struct slots *slots) {
  struct mail *mail;
  while ((mail = take_held(errand)) != NULL) mail->class->take(mail, room, slots_find(slots, errand->client->session));
}

static void drop_errand(struct mail *mail) { errand_unref(container_of(mail, struct errand, mail)); }

static void take_unheard(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  (void)room;
  drop_errand(mail);
}

const struct mail_class errand_unheard = {.take = take_unheard, .drop = drop_errand};

size_t errand_size(const struct errand *errand) {
  return (errand->http ? errand->http->size : 0) + (errand->text ? errand->text->len : 0) + errand->input_size;
}

bool errand_needs_script(const struct errand *errand) {
  const struct mw_config_options *options = &errand->config->options;
  bool asks = errand->type != ERRAND_JOIN || (errand->http && options->authenticate);
  if (errand->connects && (options->connects || options->disconnects)) asks = true;
  for (size_t i = 0; i < errand->channel_count; i++) asks = asks || kind_asks(errand->channels[i].kind);
  return asks;
}

bool errand_is_membership(const struct errand *errand) {
  if (errand->connected) return true;
  for (size_t i = 0; i < errand->channel_count; i++) {
    if (errand_channel_is_membership(&errand->channels[i])) return true;
  }
  if (errand->type == ERRAND_SOCKET && errand->socket) return true;
  return errand->type == ERRAND_STREAM && !errand->fields;
}

struct errand *errand_split(struct errand *errand, size_t i) {
  struct errand_channel *channel = &errand->channels[i];
  struct errand *part = errand_new(ERRAND_JOIN, errand->config, errand->client, NULL, channel, 1);
  if (!part) return NULL;
  part->mail.to = errand->mail.to;
  part->status = errand->status;
  part->channels[0].opened = channel->opened;
  part->channels[0].joined = channel->joined;
  part->channels[0].member = channel->member;
  channel->opened = channel->joined = false;
  channel->member = NULL;
  return part;
}

void errand_refuse(struct errand *errand, int status, const char *code, const char *reason) {
  errand->status = status;
  snprintf(errand->code, sizeof errand->code, "%s", code);
  snprintf(errand->reason, sizeof errand->reason, "%s", reason);
}

enum send_key_turn errand_enter_key(struct errand *errand, struct send_keys *keys, uint64_t now_ms) {
  const struct mw_client *client = errand->client;
  struct bytes user = client->user_id ? blob_bytes(client->user_id) : blob_bytes(client->user);
  struct send_key *entry = NULL;
  struct buffer key;
  buffer_init(&key);
  send_key_write(&key, client->user_id ? 'i' : client->user ? 'u' : 'a', user, errand->idempotency_key);
  enum send_key_turn turn = SEND_KEY_FAILED;
  if (!key.failed) turn = send_key_enter(keys, buffer_bytes(&key), &errand->link, now_ms, &entry);
  buffer_deinit(&key);
  if (turn == SEND_KEY_FIRST) {
    errand->send_key = entry;
  } else if (turn == SEND_KEY_FAILED) {
    errand_refuse(errand, 503, "unavailable", "out of memory");
  } else if (turn == SEND_KEY_ANSWERED) {
    struct send_answer answer = send_key_answer(entry);
    if (answer.body) errand->body = blob_ref(answer.body);
    if (answer.status != 200) errand_refuse(errand, answer.status, answer.code, answer.reason);
  }
  return turn;
}

/* What was not done may be done by the next one: no handler was asked, the server had no room, or the app took too long. */
static bool is_worth_keeping(const struct errand *errand) {
  return errand->status == 200 || (errand->status != 0 && errand->status != 503 && !errand->request.cancelled);
}

void errand_settle_key(struct errand *errand, struct send_keys *keys, uint64_t now_ms, struct list *ready) {
  struct send_key *entry = errand->send_key;
  if (!entry) return;
  struct send_answer answer = {.status = errand->status, .body = errand->body, .code = errand->code, .reason = errand->reason};
  errand->send_key = NULL;
  send_key_settle(keys, entry, is_worth_keeping(errand) ? &answer : NULL, now_ms, ready);
}
