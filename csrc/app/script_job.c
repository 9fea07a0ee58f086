#include "app/script_job.h"

#include <stdio.h>

#include "app/order.h"
#include "app/socket.h"
#include "base/memory.h"
#include "base/refs.h"
#include "codec/verb.h"

const char waiting_refusal[] = "the queue is full: limits.waiting or limits.queue";

static struct mw_bytes place(char **at, struct bytes from) {
  struct mw_bytes copy = {*at, from.len};
  if (from.len > 0) memcpy(*at, from.ptr, from.len);
  *at += from.len;
  return copy;
}

static void copy_channels(struct script_job *job, const struct job_channel *channels, size_t count) {
  job->channels = (struct job_channel *)(void *)(job + 1);
  job->channel_count = count;
  char *at = (char *)(job->channels + count);
  for (size_t i = 0; i < count; i++) {
    struct mw_bytes name = place(&at, channels[i].name);
    job->channels[i] =
        (struct job_channel){.name = bytes_of(name.ptr, name.len), .kind = channels[i].kind, .is_new = channels[i].is_new};
  }
}

/* Returns true if there may be something to undo when a client leaves a channel of the kind. */
static bool may_be_held(const struct kind *kind) {
  return kind->hooks & (MW_HOOK_OPEN | MW_HOOK_CLOSE | MW_HOOK_LEAVE) || kind->presence != MW_PRESENCE_NONE;
}

static bool make_memberships(struct script_job *job) {
  for (size_t i = 0; i < job->channel_count; i++) {
    struct job_channel *channel = &job->channels[i];
    if (!may_be_held(channel->kind)) continue;
    channel->membership = membership_new(job->config, job->client, channel->kind, channel->name);
    if (!channel->membership) return false;
  }
  return true;
}

static void drop_unheard(struct mail *mail) { job_unref(container_of(mail, struct script_job, mail)); }

static void take_unheard(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)subscriber;
  (void)room;
  drop_unheard(mail);
}

/* Handles the answer to a job that no session has asked: it is not used. */
static const struct mail_class job_unheard = {.take = take_unheard, .drop = drop_unheard};

struct script_job *job_new(enum job_type type, struct mw_config *config, struct mw_client *client, struct http_copy *http,
                           const struct job_channel *channels, size_t channel_count) {
  size_t size = sizeof(struct script_job) + channel_count * sizeof *channels;
  for (size_t i = 0; i < channel_count; i++) size += channels[i].name.len;
  struct script_job *job = memory_calloc(1, size);
  if (!job) return NULL;
  atomic_init(&job->refs, 1);
  atomic_init(&job->cancelled, false);
  job->type = type;
  job->config = config_ref(channel_count > 0 ? config_of(&channels[0].kind->policy) : config);
  job->client = client ? mw_client_ref(client) : NULL;
  job->http = http;
  job->route = -1;
  job->code = job->reason = "";
  job->request.job = job;
  job->task = (struct script_task){.request = &job->request, .client = job->client};
  list_init(&job->task.link);
  list_init(&job->task.followers);
  list_init(&job->request.link);
  job->answered = &job_unheard;
  buffer_init(&job->input);
  copy_channels(job, channels, channel_count);
  object_count(OBJECT_REQUEST, 1);
  if (type != JOB_JOIN || !client || make_memberships(job)) return job;
  job->http = NULL; /* stays the caller's */
  job_unref(job);
  return NULL;
}

int job_set_message(struct script_job *job, const struct verb *verb) {
  struct bytes data = verb->is_binary ? verb->payload : verb->data.raw;
  if (!verb->is_binary && data.len == 0) data = BYTES("null");
  job->text = blob_new(bytes_of(NULL, verb->event.len + verb->idempotency_key.len + data.len));
  if (!job->text) return MW_ENOMEM;
  char *at = job->text->data;
  job->message.event = place(&at, verb->event);
  struct mw_bytes key = place(&at, verb->idempotency_key);
  job->idempotency_key = bytes_of(key.ptr, key.len);
  struct mw_bytes copy = place(&at, data);
  job->message.is_binary = verb->is_binary;
  *(verb->is_binary ? &job->message.binary : &job->message.data) = copy;
  return 0;
}

struct message_parts job_message_parts(const struct script_job *job) {
  const struct mw_message *message = &job->message;
  const struct mw_bytes *data = message->is_binary ? &message->binary : &message->data;
  struct message_parts parts = {.channel = job->channels[0].name,
                                .event = bytes_of(message->event.ptr, message->event.len),
                                .data = bytes_of(data->ptr, data->len),
                                .from = client_user_id(job->client),
                                .is_binary = message->is_binary};
  if (!job->transient) parts.except = bytes_of(job->client->id, CLIENT_ID_LEN);
  return parts;
}

struct script_job *job_ref(struct script_job *job) {
  refs_add(&job->refs);
  return job;
}

struct mail *job_take_held(struct script_job *job) {
  struct mail *mail = job->held;
  if (mail) job->held = mail->next;
  return mail;
}

static void drop_held(struct script_job *job) {
  struct mail *mail;
  while ((mail = job_take_held(job)) != NULL) mail->class->drop(mail);
}

void job_unref(struct script_job *job) {
  if (!job || !refs_remove(&job->refs)) return;
  for (size_t i = 0; i < job->channel_count; i++) {
    blob_unref(job->channels[i].data);
    blob_unref(job->channels[i].info);
    membership_free(job->channels[i].membership);
  }
  membership_free(job->connection);
  drop_held(job);
  blob_unref(job->text);
  buffer_deinit(&job->input);
  mw_socket_unref(job->socket);
  blob_unref(job->fields);
  blob_unref(job->body);
  blob_unref(job->refusal);
  memory_free(job->http);
  mw_client_unref(job->client);
  mw_config_unref(job->config);
  object_count(OBJECT_REQUEST, -1);
  memory_free(job);
}

void job_drop(struct script_job *job) {
  if (job->stream) job->on_stream_end(job->stream);
  job_unref(job);
}

void job_hold(struct script_job *job, struct mail *mail) {
  mail->next = NULL;
  *(job->held ? &job->held_last->next : &job->held) = mail;
  job->held_last = mail;
}

size_t job_size(const struct script_job *job) {
  return (job->http ? job->http->size : 0) + (job->text ? job->text->len : 0) + job->input_size;
}

bool job_needs_script(const struct script_job *job) {
  const struct mw_config_options *options = &job->config->options;
  bool asks = job->type != JOB_JOIN || (job->http && options->authenticate);
  if (job->connects && (options->connects || options->disconnects)) asks = true;
  for (size_t i = 0; i < job->channel_count; i++) asks = asks || kind_asks(job->channels[i].kind);
  return asks;
}

bool job_connect(struct script_job *job) {
  const struct mw_config_options *options = &job->config->options;
  job->connects = true;
  if (!options->connects && !options->disconnects) return true;
  job->connection = membership_new(job->config, job->client, NULL, bytes_of(NULL, 0));
  return job->connection != NULL;
}

/* Moves one to the end of a list. */
static void move_membership(struct membership **from, struct membership ***end) {
  if (!membership_is_held(*from)) return;
  **end = *from;
  *end = &(*from)->next;
  *from = NULL;
}

struct membership *job_take_memberships(struct script_job *job) {
  struct membership *first = NULL, **end = &first;
  for (size_t i = 0; i < job->channel_count; i++) move_membership(&job->channels[i].membership, &end);
  move_membership(&job->connection, &end);
  *end = NULL;
  return first;
}

void job_refuse(struct script_job *job, int status, const char *code, const char *reason) {
  enum { CODE_MAX = 64, REASON_MAX = 255 };
  size_t code_len = strnlen(code, CODE_MAX), reason_len = strnlen(reason, REASON_MAX);
  struct blob *texts = blob_new(bytes_of(NULL, code_len + reason_len + 2));
  if (texts) {
    memcpy(texts->data, code, code_len);
    memcpy(texts->data + code_len + 1, reason, reason_len);
    texts->data[code_len] = texts->data[code_len + 1 + reason_len] = '\0';
  }
  blob_unref(job->refusal);
  job->refusal = texts;
  job->status = texts ? status : 503;
  job->code = texts ? texts->data : "unavailable";
  job->reason = texts ? texts->data + code_len + 1 : "out of memory";
}

void job_refuse_order(struct script_job *job, int status) {
  struct order_refusal why = order_refusal(status);
  job_refuse(job, why.status, why.code, why.reason);
}

enum send_key_turn job_enter_key(struct script_job *job, struct send_keys *keys, uint64_t now_ms) {
  const struct mw_client *client = job->client;
  struct bytes user = client->user_id ? blob_bytes(client->user_id) : blob_bytes(client->user);
  struct send_key *entry = NULL;
  struct buffer key;
  buffer_init(&key);
  send_key_write(&key, client->user_id ? 'i' : client->user ? 'u' : 'a', user, job->idempotency_key);
  enum send_key_turn turn = SEND_KEY_FAILED;
  if (!key.failed) turn = send_key_enter(keys, buffer_bytes(&key), &job->task.link, now_ms, &entry);
  buffer_deinit(&key);
  if (turn == SEND_KEY_FIRST) {
    job->send_key = entry;
  } else if (turn == SEND_KEY_FAILED) {
    job_refuse(job, 503, "unavailable", "out of memory");
  } else if (turn == SEND_KEY_ANSWERED) {
    struct send_answer answer = send_key_answer(entry);
    if (answer.body) job->body = blob_ref(answer.body);
    job->body_is_id = answer.is_id;
    if (answer.status != 200) job_refuse(job, answer.status, answer.code, answer.reason);
  }
  return turn;
}

/* Work that was not done may be done by the next job: no handler was called, the server had no
 * room, or the app took too long. */
static bool is_worth_keeping(const struct script_job *job) {
  return job->status == 200 || (job->status != 0 && job->status != 503 && !job->request.cancelled);
}

void job_settle_key(struct script_job *job, struct send_keys *keys, uint64_t now_ms, struct list *ready) {
  struct send_key *entry = job->send_key;
  if (!entry) return;
  struct send_answer answer = {
      .status = job->status, .body = job->body, .is_id = job->body_is_id, .code = job->code, .reason = job->reason};
  job->send_key = NULL;
  send_key_settle(keys, entry, is_worth_keeping(job) ? &answer : NULL, now_ms, ready);
}
