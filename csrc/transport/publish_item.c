#include "transport/publish_item.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/memory.h"
#include "codec/envelope.h"
#include "session/session.h"

struct publish_item {
  struct completion completion;
  struct mail mail;            /* to itself, when the outcome of the first with its key is known */
  struct publish_call *call;   /* while it is on the stack; NULL: it is in a batch */
  struct publish_batch *batch; /* the place of a kept one */
  struct publish_item *next;
  struct json_value object;  /* while it is on the stack */
  struct blob *text;         /* a copy of it, while it waits for another one */
  struct idempotent *entry;  /* it is the first with its key; NULL: it has none */
  struct publish_item *kept; /* the copy that lasts */
  struct publish_result result;
};

struct publish_result publish_failed(int status, const char *reason) {
  struct publish_result result = {.status = status};
  snprintf(result.reason, sizeof result.reason, "%s", reason);
  return result;
}

/* ---- Batches --------------------------------------------------------------------------------- */

static void batch_free(struct publish_batch *batch) {
  for (struct publish_item *item = batch->first, *next; item; item = next) {
    next = item->next;
    blob_unref(item->text);
    memory_free(item);
  }
  buffer_deinit(&batch->text);
  order_end_waiting(batch->http->app);
  memory_free(batch);
}

/* Makes the batch of the call, if it has none. It waits as one request, however many outcomes are
 * to come. */
static bool need_batch(struct publish_call *call) {
  if (call->batch) return true;
  struct subscriber *subscriber = &call->exchange->subscriber;
  struct publish_batch *batch = session_take_name(subscriber) == 0 ? memory_calloc(1, sizeof *batch) : NULL;
  if (!batch || !order_begin_waiting(http_of(subscriber)->app)) {
    memory_free(batch);
    return false;
  }
  batch->http = http_of(subscriber);
  batch->asker = session_address(subscriber);
  batch->waiting = 1;
  batch->on_done = call->on_done;
  call->batch = batch;
  return true;
}

static struct publish_item *append_item(struct publish_call *call) {
  struct publish_item *item = need_batch(call) ? memory_calloc(1, sizeof *item) : NULL;
  if (!item) return NULL;
  struct publish_batch *batch = call->batch;
  item->batch = batch;
  *(batch->last ? &batch->last->next : &batch->first) = item;
  batch->last = item;
  return item;
}

/* One outcome less is to come. */
static void batch_settle(struct publish_batch *batch) {
  if (--batch->waiting > 0) return;
  struct exchange *exchange = exchange_find(batch->http, batch->asker);
  if (exchange && exchange->state == EXCHANGE_ASKING) batch->on_done(batch, exchange);
  batch_free(batch);
}

bool publish_append(struct publish_call *call, const struct publish_result *result) {
  struct publish_item *item = append_item(call);
  if (item) item->result = *result;
  return item != NULL;
}

void publish_wait(struct publish_call *call, struct buffer *text) {
  call->batch->text = *text;
  buffer_init(text);
  exchange_set_state(call->exchange, EXCHANGE_ASKING);
  exchange_shed(call->exchange);
  batch_settle(call->batch);
}

struct publish_item *publish_next(const struct publish_batch *batch, struct publish_item *item) {
  return item ? item->next : batch->first;
}

const struct publish_result *publish_result_of(const struct publish_item *item) { return &item->result; }

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Returns the item in the batch of its call, or NULL if it cannot wait. */
static struct publish_item *item_keep(struct publish_item *item) {
  if (!item->call) return item;
  struct publish_item *kept = append_item(item->call);
  if (!kept) return NULL;
  struct publish_batch *batch = kept->batch;
  *kept = *item;
  kept->batch = batch;
  kept->call = NULL;
  kept->object = (struct json_value){.type = JSON_NONE};
  item->kept = kept;
  batch->waiting++;
  return kept;
}

static struct completion *keep_item(struct completion *completion) {
  struct publish_item *kept = item_keep(container_of(completion, struct publish_item, completion));
  if (!kept) return NULL;
  kept->completion.once = bytes_of(NULL, 0);
  return &kept->completion;
}

static struct http *http_of_item(const struct publish_item *item) {
  return item->call ? exchange_http(item->call->exchange) : item->batch->http;
}

/* Tells those that wait for its key. */
static void settle_key(struct publish_item *item, int status) {
  struct http *http = http_of_item(item);
  struct mail *waiter = NULL, *next;
  if (item->entry)
    waiter = idempotency_settle(&http->app->idempotency, item->entry, status, item->completion.id, http->loop->clock.now_ms);
  item->entry = NULL;
  for (; waiter; waiter = next) {
    next = waiter->next;
    http->app->workers->post(http->app, waiter);
  }
}

static void note_outcome(struct publish_item *item, int status, const char *reason) {
  item->result.status = 200;
  if (status == 0) {
    memcpy(item->result.id, item->completion.id, sizeof item->result.id);
  } else {
    int http_status = status == MW_EINVAL ? 400 : status == MW_ENOTFOUND ? 404 : order_refusal(status).status;
    item->result = publish_failed(http_status, reason[0] ? reason : order_refusal(status).reason);
  }
  settle_key(item, status);
}

static void on_item_done(struct completion *completion, int status) {
  struct publish_item *item = container_of(completion, struct publish_item, completion);
  note_outcome(item, status, "");
  batch_settle(item->batch);
}

/* ---- Publishing ------------------------------------------------------------------------------ */

static void publish_decoded(struct publish_item *item, const struct mw_publish *publish) {
  struct mw_error error = {""};
  item->completion.http = http_of_item(item);
  item->completion.keep = keep_item;
  item->completion.on_done = on_item_done;
  int status = order_publish(http_of_item(item)->app, publish, &item->completion, &error);
  if (status != MW_PENDING) note_outcome(item, status, error.text);
}

static void retry_item(struct mail *mail, void *room, struct subscriber *subscriber);

static void give_up_item(struct mail *mail) {
  struct publish_item *item = container_of(mail, struct publish_item, mail);
  item->result = publish_failed(503, "the server is stopping");
  batch_settle(item->batch);
}

static const struct mail_class retry_class = {.take = retry_item, .drop = give_up_item};

/* Waits for the first with that key. True: the first was refused in the meantime, and this one is
 * now the first, or its id is known. */
static enum idempotent_turn wait_for_first(struct publish_item *item, struct bytes key) {
  struct http *http = http_of_item(item);
  struct publish_item *kept = item_keep(item);
  if (kept && !kept->text) kept->text = blob_new(item->object.raw);
  if (!kept || !kept->text) return IDEMPOTENT_FAILED;
  kept->mail = (struct mail){.class = &retry_class, .to = {.worker = kept->batch->asker.worker}};
  return idempotency_enter(&http->app->idempotency, key, http->loop->clock.now_ms, &kept->mail, &kept->entry,
                           kept->completion.id);
}

/* The same, unless it was done before with that key, or is being done. What was refused is tried
 * again. */
static void publish_once(struct publish_item *item, const struct mw_publish *publish, struct bytes key) {
  if (key.len == 0 || key.len > IDEMPOTENCY_KEY_MAX) {
    item->result = publish_failed(400, "idempotency_key must be 1 to 128 bytes long");
    return;
  }
  struct http *http = http_of_item(item);
  enum idempotent_turn turn =
      idempotency_enter(&http->app->idempotency, key, http->loop->clock.now_ms, NULL, &item->entry, item->completion.id);
  if (turn == IDEMPOTENT_WAITS) {
    turn = wait_for_first(item, key);
    if (item->kept) item = item->kept;
  }
  switch (turn) {
    case IDEMPOTENT_FIRST:
      item->completion.once = key;
      publish_decoded(item, publish);
      break;
    case IDEMPOTENT_KNOWN: note_outcome(item, 0, ""); break;
    case IDEMPOTENT_FAILED: item->result = publish_failed(503, "out of memory"); break;
    case IDEMPOTENT_WAITS: break;
  }
}

static void decode_item(struct json_value value, struct buffer *out) {
  if (value.type == JSON_STRING) json_string_decode(value, out);
}

static void publish_object(struct publish_item *item, struct json_value object) {
  struct envelope_publish envelope;
  char fault[ENVELOPE_FAULT_MAX];
  if (!envelope_read_publish(object, &envelope, fault)) {
    item->result = publish_failed(400, fault);
    return;
  }
  struct buffer channel = {0}, event = {0}, key = {0}, once = {0}, base64 = {0}, binary = {0};
  decode_item(envelope.channel, &channel);
  decode_item(envelope.event, &event);
  decode_item(envelope.key, &key);
  decode_item(envelope.idempotency_key, &once);
  decode_item(envelope.base64, &base64);
  bool is_binary = envelope.base64.type == JSON_STRING;
  bool readable = !is_binary || base64_read(&binary, buffer_bytes(&base64));
  struct bytes data = is_binary ? buffer_bytes(&binary) : envelope.data.raw;
  struct mw_publish message = {.channel = {channel.data, channel.len},
                               .event = {event.data, event.len},
                               .data = {data.ptr, data.len},
                               .key = {key.data, key.len},
                               .is_volatile = envelope.is_volatile.type == JSON_TRUE,
                               .is_final = envelope.is_final.type == JSON_TRUE,
                               .is_binary = is_binary};
  if (channel.failed || event.failed || key.failed || once.failed || base64.failed || binary.failed) {
    item->result = publish_failed(503, "out of memory");
  } else if (!readable) {
    item->result = publish_failed(400, "invalid base64; padding is required");
  } else if (envelope.idempotency_key.type == JSON_STRING) {
    publish_once(item, &message, buffer_bytes(&once));
  } else {
    publish_decoded(item, &message);
  }
  buffer_deinit(&channel);
  buffer_deinit(&event);
  buffer_deinit(&key);
  buffer_deinit(&once);
  buffer_deinit(&base64);
  buffer_deinit(&binary);
}

/* The outcome of the first with its key is known: it is its turn, or it has the same outcome. */
static void retry_item(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)room;
  (void)subscriber;
  struct publish_item *item = container_of(mail, struct publish_item, mail);
  struct json_value object;
  if (!json_scan(blob_bytes(item->text), &object, NULL)) return; /* it was scanned before */
  publish_object(item, object);
  if (item->result.status) batch_settle(item->batch);
}

bool publish_item(struct publish_call *call, struct json_value object, struct publish_result *result) {
  struct publish_item item = {.call = call, .object = object};
  publish_object(&item, object);
  if (!item.kept) {
    *result = item.result;
    return true;
  }
  /* Kept in vain: it did not have to wait after all. */
  if (item.kept->result.status) call->batch->waiting--;
  return false;
}
