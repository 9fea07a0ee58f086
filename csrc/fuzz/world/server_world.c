#define _XOPEN_SOURCE 700

#include "fuzz/world/server_world.h"

#include <string.h>

#include "base/memory.h"
#include "fuzz/fuzz.h"
#include "fuzz/world/server_app.h"
#include "fuzz/world/server_peer.h"
#include "fuzz/world/server_stray.h"
#include "server/server.h"

enum { PEERS = 5, ALL_HOOKS = MW_HOOK_AUTHORIZE | MW_HOOK_OPEN | MW_HOOK_JOIN | MW_HOOK_LEAVE | MW_HOOK_CLOSE, BIG = 3000 };

static struct {
  struct mw_server *server;
  struct test_app app;
  struct record record;
  struct peer peers[PEERS];
  uint64_t random; /* of the order of turns */
  bool is_fair;    /* every worker has its turn, one after the other */
  size_t fair_next;
} world;

/* ---- Whose turn it is ------------------------------------------------------------------------ */

static uint64_t draw(uint64_t below) {
  world.random ^= world.random << 13;
  world.random ^= world.random >> 7;
  world.random ^= world.random << 17;
  return (world.random >> 11) % below;
}

/* Some workers have several turns before others have one. */
static int next_turn(void *context, size_t worker_count) {
  (void)context;
  if (world.is_fair) {
    if (world.fair_next <= worker_count) return (int)world.fair_next++;
    world.fair_next = 0;
    return -1;
  }
  return draw(3) == 0 ? -1 : (int)draw(worker_count + 1);
}

static size_t next_connection(void *context, size_t worker_count) {
  (void)context;
  return draw(worker_count);
}

static struct schedule schedule = {.next = next_turn, .accepts = next_connection};

static void settle(void) {
  for (int i = 0; i < 6; i++) mw_server_step(world.server);
}

/* Until everything that has begun is done. */
static void settle_fairly(void) {
  world.is_fair = true;
  settle();
  settle();
  world.is_fair = false;
}

/* ---- Peers ----------------------------------------------------------------------------------- */

/* Returns an id that was received, "0", or nothing. */
static const char *since_of(const struct peer *peer, unsigned how) {
  return how == 0 ? "" : how == 1 ? "0" : how == 2 ? peer->id : "abc";
}

static void connect_peer(struct peer *peer, enum peer_kind kind, bool again) {
  peer_leave(peer);
  settle();
  peer_begin(peer, kind, again);
  if (mw_connect_memory(world.server, &peer->memory) < 0) peer->memory = NULL;
}

static void come(struct peer *peer, enum peer_kind kind, unsigned channels, unsigned how) {
  static const char upgrade[] = "GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  char text[512];
  int len;
  /* It polls again with the id of its last answer. */
  bool again = kind >= PEER_POLL && peer->kind == kind && how == 2 && peer->id[0];
  if (channels == 0) channels = 1;
  if (!again && how == 2) how = 1;
  connect_peer(peer, kind, again);
  if (kind == PEER_WEBSOCKET || kind == PEER_MOONWIRE_1) {
    len =
        snprintf(text, sizeof text, "%s%s\r\n", upgrade, kind == PEER_MOONWIRE_1 ? "Sec-WebSocket-Protocol: moonwire.1\r\n" : "");
  } else {
    len = snprintf(text, sizeof text, "GET /%s?", kind >= PEER_POLL ? "poll" : "sse");
    for (unsigned i = 0; i < PEER_CHANNELS; i++) {
      if (channels & 1u << i) len += snprintf(text + len, sizeof text - (size_t)len, "channel=%c&", (int)('a' + i));
      /* A channel that it omits now will be another subscription later. */
      if (!(channels & 1u << i)) peer->views[i] = (struct view){.begins = true};
    }
    len += snprintf(text + len, sizeof text - (size_t)len, "since=%s", since_of(peer, how));
    if (kind == PEER_ENVELOPE) len += snprintf(text + len, sizeof text - (size_t)len, "&envelope=1");
    if (kind == PEER_POLL_CLIENT) len += snprintf(text + len, sizeof text - (size_t)len, "&client=%s", peer->client);
    len += snprintf(text + len, sizeof text - (size_t)len, " HTTP/1.1\r\nHost: t\r\n\r\n");
  }
  peer_say(peer, text, (size_t)len);
}

/* Writes a verb as text. All of them are verbs that the checks of this peer understand. */
static void write_verb(char *out, size_t size, unsigned what, unsigned channel, bool has_ref) {
  int name = 'a' + (int)channel;
  char ref[24] = "";
  if (has_ref || what == 0 || what == 1) snprintf(ref, sizeof ref, ",\"ref\":\"%c%c\"", "supppppp"[what % 8], name);
  switch (what % 8) {
    case 0: snprintf(out, size, "{\"subscribe\":\"%c\"%s}", name, ref); break;
    case 1: snprintf(out, size, "{\"unsubscribe\":\"%c\"%s}", name, ref); break;
    case 2: snprintf(out, size, "{\"send\":\"%c\",\"event\":\"say\",\"data\":1%s}", name, ref); break;
    case 3: snprintf(out, size, "{\"send\":\"%c\",\"event\":\"typing\",\"data\":1%s}", name, ref); break;
    case 4: snprintf(out, size, "{\"presence\":\"%c\"%s}", name, ref); break;
    case 5: snprintf(out, size, "{\"connect\":{\"token\":\"t\"}%s}", ref); break;
    case 6: snprintf(out, size, "{\"token\":\"t\"%s}", ref); break;
    default: snprintf(out, size, "{\"ping\":true%s}", ref); break;
  }
}

static void verb(struct peer *peer, unsigned what, unsigned channel, bool has_ref) {
  char text[120];
  if (!peer->memory || !peer->has_head || peer->has_ended) return;
  if (peer->kind != PEER_WEBSOCKET && peer->kind != PEER_MOONWIRE_1) return;
  write_verb(text, sizeof text, what, channel, has_ref);
  peer_say_frame(peer, text);
}

/* Returns a reference to one of the known clients, or NULL. */
static struct mw_client *client_at(unsigned which) {
  struct mw_client *client = NULL;
  for (unsigned i = 0; i <= which && (i == 0 || client); i++) client = mw_client_next(world.server, client);
  return client;
}

/* Sends over a connection of its own, for a client or anonymously. */
static void post(unsigned what, unsigned channel, unsigned which) {
  char body[120], text[400], field[80] = "";
  struct mw_memory *memory;
  struct mw_client *client = which < 6 ? client_at(which) : NULL;
  for (unsigned i = 0; client && what <= 1 && i < PEERS; i++) world.peers[i].views[channel].is_blurred = true;
  if (client) {
    struct mw_bytes id = mw_client_id(client);
    snprintf(field, sizeof field, "X-Moonwire-Client: %.*s\r\n", (int)id.len, id.ptr);
    mw_client_unref(client);
  }
  if (what < 8) {
    write_verb(body, sizeof body, what, channel, true);
  } else {
    snprintf(body, sizeof body, "{\"history\":\"%c\",\"ref\":1}", (int)('a' + channel));
  }
  int len = snprintf(text, sizeof text, "POST /send HTTP/1.1\r\nHost: t\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s",
                     field, strlen(body), body);
  if (mw_connect_memory(world.server, &memory) < 0) return;
  mw_memory_write(memory, text, (size_t)len);
  settle();
  mw_memory_close(memory);
}

/* Sends text that is not a verb, or bytes that are not a frame, from a peer that was valid so
 * far. */
static void babble(struct peer *peer, unsigned what) {
  static const char *const texts[] = {"",
                                      "{",
                                      "[]",
                                      "{\"subscribe\":7,\"ref\":1}",
                                      "{\"send\":\"zz\",\"ref\":1}",
                                      "{\"subscribe\":\"a\"}x",
                                      "{\"history\":\"b\",\"limit\":-1,\"ref\":1}"};
  static const char frames[][9] = {"\x81\x01x", "\xff\x80....", "\x83\x80....", "\x89\xff....", "\x80\x80....", "\x88\x81....x"};
  if (!peer->memory || !peer->has_head || peer->has_ended) return;
  if (peer->kind != PEER_WEBSOCKET && peer->kind != PEER_MOONWIRE_1) return;
  if (what & 8) {
    /* The connection is refused. */
    peer->has_ended = true;
    peer_say(peer, frames[what % (sizeof frames / sizeof *frames)], sizeof frames[0] - 1);
  } else {
    peer_say_frame(peer, texts[what % (sizeof texts / sizeof *texts)]);
  }
}

/* ---- The app --------------------------------------------------------------------------------- */

static void publish(unsigned channel, bool is_volatile, bool is_final, bool is_big) {
  static char data[BIG + 16];
  if (world.record.count == RECORD_MAX) return;
  int len = snprintf(data, sizeof data, "[\"%c%05zu\",\"", (int)('a' + channel), world.record.count);
  size_t size = is_big ? BIG : 0;
  memset(data + len, '.', size);
  memcpy(data + len + size, "\"]", 2);
  char name = (char)('a' + channel);
  struct mw_publish message = {.channel = {&name, 1}, .data = {data, (size_t)len + size + 2}};
  message.is_volatile = is_volatile;
  message.is_final = is_final && !is_volatile;
  if (mw_publish(world.server, &message, NULL, NULL) < 0) return;
  world.record.entries[world.record.count].channel = (uint8_t)channel;
  world.record.entries[world.record.count++].is_volatile = is_volatile;
}

/* Notes the messages that were published by a request, from its answer: "id" for one that is kept,
 * {} for a volatile one. */
static void note_answer(const char *body, unsigned channel, const bool *are_volatile, size_t count) {
  bool is_list = *body == '[';
  const char *at = body + is_list;
  for (size_t i = 0; i < count; i++) {
    const char *end = members_object_end(at);
    must(end);
    bool is_done = !members_value(at, "error");
    must(!is_done || (members_value(at, "id") != NULL) == !are_volatile[i]);
    /* A number that was never published. */
    world.record.entries[world.record.count].channel = is_done ? (uint8_t)channel : PEER_CHANNELS;
    world.record.entries[world.record.count++].is_volatile = are_volatile[i];
    at = *end == ',' ? end + 1 : end;
  }
  must(!is_list || *at == ']');
}

/* Publishes by POST /publish: one message, an array, or lines. It must be known what was published,
 * so allocations do not fail in the meantime. */
static void publish_by_http(unsigned channel, unsigned how, bool is_final) {
  char body[1200], text[1500], answer[2000];
  bool are_volatile[8];
  size_t count = how & 1 ? 2 + (how >> 1 & 3) : 1, len = 0, used = 0, read;
  bool are_lines = how & 8 && count > 1;
  struct mw_memory *memory;
  if (world.record.count + count > RECORD_MAX) return;
  memory_fail_after(0);
  if (count > 1 && !are_lines) body[len++] = '[';
  for (size_t i = 0; i < count; i++) {
    are_volatile[i] = (how + i) % 3 == 0;
    const char *separator = i == 0 ? "" : are_lines ? "\n" : ",";
    const char *more = are_volatile[i] ? ",\"volatile\":true" : is_final && i == count / 2 ? ",\"final\":true" : "";
    len += (size_t)snprintf(body + len, sizeof body - len, "%s{\"channel\":\"%c\",\"data\":[\"%c%05zu\"]%s}", separator,
                            (int)('a' + channel), (int)('a' + channel), world.record.count + i, more);
  }
  if (count > 1 && !are_lines) body[len++] = ']';
  used = (size_t)snprintf(
      text, sizeof text,
      "POST /publish HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer key\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%.*s",
      len, (int)len, body);
  if (mw_connect_memory(world.server, &memory) < 0) return;
  mw_memory_write(memory, text, used);
  settle_fairly();
  for (used = 0; (read = mw_memory_read(memory, answer + used, sizeof answer - 1 - used)) > 0; used += read) settle_fairly();
  answer[used] = '\0';
  const char *content = strstr(answer, "\r\n\r\n");
  must(content);
  bool is_one_refused = count == 1 && strncmp(answer, "HTTP/1.1 200 ", 13) != 0;
  must(is_one_refused || strncmp(answer, "HTTP/1.1 200 ", 13) == 0);
  note_answer(content + 4, channel, are_volatile, count);
  mw_memory_close(memory);
}

static void act(unsigned what, unsigned which, unsigned channel) {
  struct mw_client *client = client_at(which);
  char name[2] = {(char)('a' + channel), '\0'};
  struct mw_publish push = {.data = {"1", 1}};
  if (!client) return;
  switch (what % 4) {
    case 0: mw_client_subscribe(world.server, client, name, 1); break;
    case 1: mw_client_unsubscribe(world.server, client, name, 1, "kicked", "out"); break;
    case 2: mw_client_send(world.server, client, &push, NULL); break;
    case 3: mw_client_close(world.server, client, 4403, "away"); break;
  }
  mw_client_unref(client);
}

/* ---- What must hold -------------------------------------------------------------------------- */

static bool is_quiet(void) {
  bool all = world.app.kept_count == 0 && list_empty(&world.server->script.asked) && mailbox_empty(&world.server->script.queue);
  for (size_t i = 0; i < world.server->worker_count; i++) {
    struct worker *worker = &world.server->workers[i];
    all = all && mailbox_empty(&worker->mailbox) && !worker->delivery.dirty && !worker->delivery.next;
  }
  return all;
}

enum { ROUNDS_OF_LEAVING = 300 };

/* The members that peers know become correct, at the latest after those who linger have left. While
 * a member leaves in each interval, they are one interval old. */
static void check_members(void) {
  bool all = false;
  for (unsigned round = 0; !all && round < ROUNDS_OF_LEAVING; round++) {
    all = true;
    for (unsigned i = 0; i < PEERS; i++) {
      peer_read(&world.peers[i], SIZE_MAX);
      all = all && peer_knows_members(&world.peers[i], world.server);
    }
    if (!all) mw_server_advance(world.server, 100);
    if (!all) settle();
  }
  must(all);
}

static void check(void) {
  memory_fail_after(0);
  world.is_fair = true;
  unsigned keep = world.app.keep;
  enum app_answer now = world.app.now;
  world.app.keep = 0;
  for (unsigned round = 0; round < 60; round++) {
    while (world.app.kept_count > 0) app_answer_kept(&world.app, 0, APP_ACCEPT);
    settle();
    for (unsigned i = 0; i < PEERS; i++) peer_read(&world.peers[i], SIZE_MAX);
    mw_server_advance(world.server, 60); /* lingering connections are closed */
    if (round >= 3 && is_quiet()) break;
  }
  settle();
  must(is_quiet());
  check_members();
  const char *fault = agreement_fault(&world.app.agreement, world.server);
  if (fault) fprintf(stderr, "%s\n", fault);
  must(!fault);
  for (unsigned i = 0; i < PEERS; i++) peer_check(&world.peers[i]);
  world.app.keep = keep;
  world.app.now = now;
  world.is_fair = false;
}

static void operate(uint8_t what, uint8_t which) {
  struct peer *peer = &world.peers[which % PEERS];
  unsigned channel = which >> 3 & 3, more = which >> 5, high = what >> 4;
  switch (what % 16) {
    case 0:
    case 1: come(peer, (enum peer_kind)(high % PEER_KINDS), which >> 3 & 15, (unsigned)(what & 1) + (which >> 7) * 2u); break;
    case 2:
    case 3: verb(peer, more, channel, high & 1); break;
    case 4:
      if (high >= 12) {
        stray(world.server, more, which, (unsigned)which * 7u + high);
      } else if (high >= 9) {
        babble(peer, (which >> 3) & 15);
      } else {
        post(high, channel, more);
      }
      break;
    case 5:
    case 6: publish(channel, high & 1, (high & 6) == 6, more & 1); break;
    case 7:
      if (high & 8) {
        publish_by_http(channel, more | (high & 1u) << 3, (high & 6) == 6);
      } else {
        for (unsigned i = 0; i < 8; i++) publish(channel, i == 4, false, true);
      }
      break;
    case 8: world.app.keep = high & 1 ? (unsigned)which << (high & 8) : 0; break;
    case 9:
      world.app.now = (enum app_answer)(which % APP_ANSWERS);
      world.app.later = (enum app_answer)(high % APP_ANSWERS);
      break;
    case 10: app_answer_kept(&world.app, which >> 2, (enum app_answer)(which % APP_ANSWERS)); break;
    case 11: act(high, more, channel); break;
    case 12: mw_server_advance(world.server, (uint64_t)which * (high & 8 ? 200 : 3)); break;
    case 13:
      if (high & 8) {
        memory_fail_after(1 + which % 64);
      } else {
        peer_leave(peer);
      }
      break;
    case 14: peer_read(peer, high & 8 ? SIZE_MAX : which * 40u); break;
    case 15: check(); break;
  }
  if (!(what % 16 >= 5 && what % 16 <= 7) || high & 8) settle();
}

/* ---- The server ------------------------------------------------------------------------------ */

static int define(struct mw_config *config) {
  static const struct mw_event_rule events[] = {{.event = "say"}, {.event = "typing", .relay = true}};
  struct mw_channel_options kinds[PEER_CHANNELS] = {
      {.history_size = 8, .history_readable = true},
      {.history_size = 6, .hooks = ALL_HOOKS, .presence = MW_PRESENCE_FULL, .presence_interval_ms = 100},
      {.hooks = ALL_HOOKS | MW_HOOK_PRESENCE, .presence = MW_PRESENCE_COUNTS, .slow = MW_SLOW_CLOSE, .linger_ms = 50},
      {.slow = MW_SLOW_DROP, .presence = MW_PRESENCE_FULL, .outbox = 8000, .presence_linger_ms = 300}};
  int status = 0;
  for (int i = 0; status >= 0 && i < PEER_CHANNELS; i++) {
    char pattern[2] = {(char)('a' + i), '\0'};
    kinds[i].events = events;
    kinds[i].event_count = 2;
    status = mw_config_channel(config, pattern, &kinds[i], NULL);
  }
  return status;
}

static void begin(unsigned flags, const struct world_options *how) {
  struct mw_config_options options;
  struct mw_config *config;
  memset(&world, 0, sizeof world);
  world.random = (how->seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
  for (unsigned i = 0; i < PEERS; i++) world.peers[i].record = &world.record;
  mw_config_options_init(&options);
  options.on_request = app_on_request;
  options.on_cancel = app_on_cancel;
  options.context = &world.app;
  options.publish_key = "key";
  options.authenticate = flags & 1;
  options.connects = options.disconnects = flags & 2;
  options.limits.outbox = 20000;
  options.limits.answer_ms = 5000;
  options.limits.heartbeat_ms = options.limits.ping_ms = options.limits.progress_ms = UINT32_MAX;
  must(mw_config_new(&config, &options, NULL) == 0);
  must(define(config) >= 0);
  struct mw_server_options server = {.config = config};
  schedule.workers = how->workers;
  must(server_begin(&world.server, &server, how->workers > 1 ? &schedule : NULL, NULL) == 0);
  mw_config_unref(config);
  mw_server_advance(world.server, 1);
}

/* Stops the server: every client leaves, and the app is notified of it. */
static void end(void) {
  memory_fail_after(0);
  for (unsigned i = 0; i < PEERS; i++) peer_leave(&world.peers[i]);
  check();
  world.app.keep = 0;
  mw_server_stop(world.server, NULL, NULL);
  settle_fairly();
  mw_server_free(world.server);
  for (size_t i = 0; i < world.app.agreement.count; i++) must(world.app.agreement.entries[i].count == 0);
  for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) must(object_live((enum object_kind)kind) == 0);
  must(memory_live() == 0);
}

void world_run(const uint8_t *data, size_t size, const struct world_options *options) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  if (size == 0) return;
  begin(data[0], options);
  for (size_t i = 1; i + 1 < size && i < 600; i += 2) operate(data[i], data[i + 1]);
  end();
}
