#include "app/limits/limits.h"

#include "app/config.h"
#include "net/descriptors.h"

enum { VERB_BURST_MIN = 1000 };

void mw_limits_init(struct mw_limits *limits) {
  *limits = (struct mw_limits){
      .target = 8192,
      .head = 16384,
      .fields = 100,
      .body = 1 << 20,
      .message_size = 64 << 10,
      .outbox = 1 << 20,
      .replay = 10000,
      .replay_bytes = 16 << 20,
      .history = 256 << 20,
      .ws_message_size = 1 << 20,
      .input_backlog = 64 << 10,
      .queue = 64 << 20,
      .connections = descriptors_for_connections(CONNECTIONS_MAX),
      .channels = 1000000,
      .marks = 1000000,
      .client_channels = 100,
      .client_names = 10000,
      .address_names = 100000,
      .address_polls = 20000,
      .address_connections = 10000,
      .user_connections = 1000,
      .address_handshakes = {.per_second = 200, .burst = 2000},
      .rate = {.per_second = 100, .burst = 200},
      .verb_rate = {.per_second = 100, .burst = 0},
      .waiting = 10000,
      .head_ms = 10000,
      .body_ms = 30000,
      .message_ms = 30000,
      .idle_ms = 75000,
      .answer_ms = 30000,
      .heartbeat_ms = 15000,
      .connect_ms = 10000,
      .ping_ms = 25000,
      .pong_ms = 10000,
      .progress_ms = 30000,
      .drain_ms = 5000,
      .poll_ms = 30000,
      .poll_client_ms = 30000,
  };
}

const char *mw_limit_name(enum mw_limit limit) {
  static const char *const names[MW_LIMIT_COUNT] = {
      [MW_LIMIT_CONNECTIONS] = "connections",
      [MW_LIMIT_ADDRESS_CONNECTIONS] = "address_connections",
      [MW_LIMIT_USER_CONNECTIONS] = "user_connections",
      [MW_LIMIT_ADDRESS_HANDSHAKES] = "address_handshakes",
      [MW_LIMIT_RATE] = "rate",
      [MW_LIMIT_VERB_RATE] = "verb_rate",
      [MW_LIMIT_WEBSOCKET_RATE] = "websocket_rate",
      [MW_LIMIT_CHANNEL_RATE] = "channel_rate",
      [MW_LIMIT_CHANNEL_EVENT_RATE] = "channel_event_rate",
      [MW_LIMIT_CHANNEL_TOTAL_RATE] = "channel_total_rate",
      [MW_LIMIT_CHANNELS] = "channels",
      [MW_LIMIT_CLIENT_CHANNELS] = "client_channels",
      [MW_LIMIT_CLIENT_NAMES] = "client_names",
      [MW_LIMIT_ADDRESS_NAMES] = "address_names",
      [MW_LIMIT_ADDRESS_POLLS] = "address_polls",
      [MW_LIMIT_CHANNEL_MEMBERS] = "channel_members",
      [MW_LIMIT_CHANNEL_CHANNELS] = "channel_channels",
      [MW_LIMIT_WAITING] = "waiting",
      [MW_LIMIT_QUEUE] = "queue",
      [MW_LIMIT_TARGET] = "target",
      [MW_LIMIT_HEAD] = "head",
      [MW_LIMIT_FIELDS] = "fields",
      [MW_LIMIT_BODY] = "body",
      [MW_LIMIT_WS_MESSAGE_SIZE] = "ws_message_size",
      [MW_LIMIT_OUTBOX] = "outbox",
      [MW_LIMIT_INPUT_BACKLOG] = "input_backlog",
      [MW_LIMIT_IDLE_SECONDS] = "idle_seconds",
      [MW_LIMIT_POLL_CLIENT_SECONDS] = "poll_client_seconds",
      [MW_LIMIT_MESSAGE_SIZE] = "message_size",
      [MW_LIMIT_HEAD_SECONDS] = "head_seconds",
      [MW_LIMIT_BODY_SECONDS] = "body_seconds",
      [MW_LIMIT_MESSAGE_SECONDS] = "message_seconds",
      [MW_LIMIT_CONNECT_SECONDS] = "connect_seconds",
      [MW_LIMIT_PONG_SECONDS] = "pong_seconds",
      [MW_LIMIT_PROGRESS_SECONDS] = "progress_seconds",
      [MW_LIMIT_ANSWER_SECONDS] = "answer_seconds",
  };
  return names[limit];
}

struct rate limits_rate(struct mw_rate rate) {
  return rate_of(rate.per_second, rate.burst);
}

struct rate limits_verb_rate(const struct mw_limits *limits) {
  struct mw_rate rate = limits->verb_rate;
  size_t most = limits->client_channels < RATE_BURST_MAX / 4 ? limits->client_channels * 4 : RATE_BURST_MAX;
  if (rate.per_second > 0 && rate.burst == 0) rate.burst = most > VERB_BURST_MIN ? most : VERB_BURST_MIN;
  return limits_rate(rate);
}

const char *limits_rate_fault(struct mw_rate rate) {
  if (rate.per_second == 0) return rate.burst > 0 ? "a burst needs a rate" : NULL;
  if (!(rate.per_second >= RATE_MIN && rate.per_second <= RATE_MAX)) return "a rate must be from 0.001 to 1,000,000 a second";
  return rate.burst > RATE_BURST_MAX ? "a burst must be at most 1,000,000" : NULL;
}

const char *limits_fault(const struct mw_limits *limits) {
  if (limits->head < 256 || limits->target < 16 || limits->fields < 8)
    return "target, head, or fields is too small for any request";
  if (limits->message_size == 0 || limits->outbox == 0 || limits->queue == 0 || limits->body == 0)
    return "message_size, outbox, queue, and body must not be 0";
  if (limits->replay == 0 || limits->replay_bytes == 0 || limits->history == 0)
    return "replay, replay_bytes, and history must not be 0";
  if (limits->connections == 0 || limits->channels == 0 || limits->marks == 0 || limits->client_channels == 0 ||
      limits->waiting == 0) {
    return "connections, channels, marks, client_channels, and waiting must not be 0";
  }
  if (!limits->head_ms || !limits->body_ms || !limits->message_ms || !limits->idle_ms || !limits->answer_ms ||
      !limits->heartbeat_ms || !limits->progress_ms || !limits->poll_ms || !limits->poll_client_ms) {
    return "times must not be 0";
  }
  const char *fault = limits_rate_fault(limits->rate);
  if (!fault) fault = limits_rate_fault(limits->verb_rate);
  return fault ? fault : limits_rate_fault(limits->address_handshakes);
}
