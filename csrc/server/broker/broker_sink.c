/* The server, as its broker sees it. */
#include "base/log_limit.h"
#include "base/memory.h"
#include "broker/record.h"
#include "script/presence/presence.h"
#include "server/broker/broker_commands.h"
#include "server/broker/broker_members.h"
#include "server/server.h"

/* What another node may send, at least. */
enum { DATA_MAX = 1 << 20 };

/* Without it, a client would miss something and not notice. */
static void must_succeed(struct broker_orderer *orderer, int status) {
  if (status >= 0) return;
  log_limited(MW_LOG_WARNING, "disconnecting all subscribers, and reading all histories again: %s", mw_status_text(status));
  orderer->must_restart = true;
}

static size_t data_max(struct broker_orderer *orderer) {
  struct mw_config *config = app_hold_config(&orderer->server->app);
  size_t max = config->options.limits.message_size;
  mw_config_unref(config);
  return max > DATA_MAX ? max : DATA_MAX;
}

/* Returns false if it is not a record. */
static bool read_record(struct broker_orderer *orderer, struct bytes channel, const struct broker_message *message,
                        struct message_parts *parts) {
  const char *fault = record_read(channel, message, data_max(orderer), parts);
  if (!fault) return true;
  log_limited(MW_LOG_WARNING, "ignored a message from redis: %s (channel=%.*s position=%llu)", fault, (int)channel.len,
              channel.ptr, (unsigned long long)message->position);
  return false;
}

static void reach(void *context, uint64_t position) {
  struct broker_orderer *orderer = context;
  if (!orderer->must_restart) orderer->is_unreached = bus_reach(orderer->server, position) < 0;
}

static void deliver(void *context, struct bytes channel, const struct broker_message *message) {
  struct broker_orderer *orderer = context;
  struct message_parts parts;
  if (orderer->must_restart) return;
  if (!read_record(orderer, channel, message, &parts)) {
    if (message->position > 0) must_succeed(orderer, bus_gap(orderer->server, channel, message->position));
    return;
  }
  int status = bus_deliver(orderer->server, &parts, message->position, message->before);
  if (status < 0 && message->position > 0) must_succeed(orderer, bus_disconnect(orderer->server, channel, message->position));
}

static struct message *make_message(const struct kind *kind, const struct message_parts *parts,
                                    const struct broker_message *from) {
  struct message *message = message_new(&kind->policy, parts);
  if (!message) return NULL;
  message->position = from->position;
  message->before = from->before;
  message->time_ms = position_time_ms(from->position);
  return message;
}

/* Makes the messages of a page, newest first, until one cannot be made. Returns how many; they are
 * the last ones of `messages`. */
static size_t make_messages(struct broker_orderer *orderer, const struct kind *kind, const struct broker_page *page,
                            struct message **messages, struct store_page *out) {
  size_t count = 0;
  while (count < page->count) {
    const struct broker_message *from = &page->messages[page->count - count - 1];
    struct message_parts parts;
    bool is_record = read_record(orderer, page->channel, from, &parts);
    struct message *message = is_record ? make_message(kind, &parts, from) : NULL;
    if (!message) {
      out->after = from->position;
      if (!is_record && from->position > out->gone) out->gone = from->position;
      break;
    }
    messages[page->count - ++count] = message;
  }
  return count;
}

static void restore(void *context, const struct broker_page *page) {
  struct broker_orderer *orderer = context;
  struct mw_server *server = orderer->server;
  if (orderer->must_restart) return;
  struct mw_config *config = app_hold_config(&server->app);
  const struct kind *kind = config_kind(config, page->channel);
  struct message **messages = memory_calloc(page->count + 1, sizeof *messages);
  if (kind && messages) {
    struct store_page out = {.after = page->after, .until = page->until, .gone = page->gone, .ended = page->ended};
    size_t count = make_messages(orderer, kind, page, messages, &out);
    out.messages = messages + page->count - count;
    out.count = count;
    /* What is not kept can be fetched again. */
    (void)store_restore(&server->store, page->channel, &kind->policy, &out);
    for (size_t i = 0; i < count; i++) message_unref(out.messages[i]);
  }
  memory_free(messages);
  mw_config_unref(config);
}

static void gap(void *context, struct bytes channel, uint64_t position) {
  struct broker_orderer *orderer = context;
  if (!orderer->must_restart) must_succeed(orderer, bus_gap(orderer->server, channel, position));
}

static void disconnect(void *context, struct bytes channel) {
  struct broker_orderer *orderer = context;
  if (!orderer->must_restart) must_succeed(orderer, bus_disconnect(orderer->server, channel, 0));
}

static void forget(void *context, struct bytes channel) {
  struct broker_orderer *orderer = context;
  store_forget(&orderer->server->store, channel);
  presence_forget(&orderer->server->script, channel);
}

static void begin_epoch(void *context, const struct epoch *epoch, uint64_t position) {
  struct broker_orderer *orderer = context;
  orderer->epoch = *epoch;
  int status = bus_begin_epoch(orderer->server, epoch, position);
  orderer->must_restart = status < 0;
}

static void members(void *context, const struct broker_members *members) { broker_members_take(context, members); }

static void command(void *context, struct bytes text) { broker_commands_take(context, text); }

/* Every client resumes, and is authorized again. */
static void miss_commands(void *context) {
  struct broker_orderer *orderer = context;
  orderer->must_restart = true;
}

const struct broker_sink broker_orderer_sink = {.deliver = deliver,
                                                .restore = restore,
                                                .gap = gap,
                                                .disconnect = disconnect,
                                                .forget = forget,
                                                .reach = reach,
                                                .begin_epoch = begin_epoch,
                                                .members = members,
                                                .command = command,
                                                .miss_commands = miss_commands};
