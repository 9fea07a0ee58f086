/* A whole server whose peers read as much as they want, when they want. Bytes become peers that
 * come, resume with an id, and read a little or nothing; messages on channels of all policies;
 * time, sweeps, and failing allocations. Each peer parses what it receives by itself, and knows all
 * that was published.
 *
 * No channel may have a hole without a gap. No message comes twice or out of order. On an event
 * stream, whose client resumes with one id for all channels, a gap comes before any later position.
 * A client that was told that it recovered must have. No client receives a gap on a channel without
 * a message after its id, regardless of the age of that id, and of other channels, of which there
 * are too many to remember. */
#define _XOPEN_SOURCE 700

#include <string.h>

#include "base/memory.h"
#include "delivery/catchup.h"
#include "fuzz/fuzz.h"
#include "http/http1/http1.h"
#include "server/server.h"
#include "session/session.h"

enum {
  CHANNELS = 8,
  PEERS = 4,
  MARKS = 2 * CHANNELS,
  LOG_MAX = 3000,
  BIG = 9000,
  OUTBOX = 30000,
  PINGS_MAX = 64,
  STALL_WINDOW = 64 * 1024
};
enum way { SSE, SSE_PLAIN, ENVELOPE, WEBSOCKET };

/* The first letter of a channel's name is its kind. */
static const struct mw_channel_options kinds[CHANNELS] = {
    {.history_size = 8, .history_readable = true, .outbox = 20000},
    {.history_size = 3, .history_ttl_ms = 5000, .history_replay = 2},
    {.history_size = 100, .history_bytes = 60000, .history_replay = 100, .age_ms = 3000},
    {.slow = MW_SLOW_CLOSE},
    {.slow = MW_SLOW_DROP, .outbox = 10000},
    {.slow = MW_SLOW_DROP, .history_size = 4},
    {.slow = MW_SLOW_LATEST},
    {.slow = MW_SLOW_LATEST, .history_size = 10, .history_replay = 1},
};

/* Bytes of a peer, terminated, whose allocations do not fail. */
struct text {
  char *data;
  size_t len, capacity;
};

struct entry {
  uint64_t position; /* 0: volatile */
  uint8_t channel, key;
  bool is_final;
};

/* What a peer knows of one channel. */
struct view {
  bool subscribed, told; /* `told`: it received a gap since its last message */
  /* it received the end, and no message since; on an event stream, it is still subscribed */
  bool ended;
  bool was_told;   /* a gap on any channel */
  bool begins;     /* any kept message may come first */
  bool is_foreign; /* it resumed with an id of another epoch: it must receive a gap */
  bool is_blurred; /* it subscribed or left in the middle, so that it is unknown what is missing */
  uint64_t seen;   /* it has everything up to here */
  unsigned last_volatile, newest[4];
  size_t joined; /* length of the log when it subscribed */
};

struct peer {
  struct mw_memory *memory; /* NULL: it is not connected */
  enum way transport;
  struct text in;
  size_t body; /* of the answer, after its head; 0: no head yet */
  /* an event stream without its chunk heads, from the first incomplete event on */
  struct text block;
  uint64_t last_id; /* of the stream */
  bool has_id, has_ended, is_closed;
  uint64_t resume[CHANNELS]; /* the ids to resume from */
  bool can_resume;
  struct view views[CHANNELS];
  struct {
    uint8_t what; /* 's', 'u', 'p' */
    uint8_t channel;
    bool has_since, is_foreign;
    uint64_t since;
  } asked[PINGS_MAX]; /* in order */
  size_t asked_count, answered;
};

static struct {
  struct mw_server *server;
  struct entry log[LOG_MAX];
  size_t count;
  uint64_t position;
  char epoch[EPOCH_LEN + 1];
  struct peer peers[PEERS];
  bool failing;
} world;

static void settle(void) {
  for (int i = 0; i < 4; i++) mw_server_step(world.server);
}

static void text_append(struct text *text, const char *bytes, size_t len) {
  if (text->len + len + 1 > text->capacity) {
    text->capacity = 2 * (text->len + len) + 64;
    text->data = realloc(text->data, text->capacity);
  }
  memcpy(text->data + text->len, bytes, len);
  text->len += len;
  text->data[text->len] = '\0';
}

static void text_consume(struct text *text, size_t len) {
  memmove(text->data, text->data + len, text->len - len + 1);
  text->len -= len;
}

static void text_free(struct text *text) {
  free(text->data);
  *text = (struct text){NULL, 0, 0};
}

/* ---- The record ------------------------------------------------------------------------------ */

static bool forgives(unsigned channel) { return kinds[channel].slow == MW_SLOW_LATEST; }

/* Returns the first position of a channel above `seen` and up to `limit`, or 0 if there is none. */
static uint64_t first_after(unsigned channel, uint64_t seen, uint64_t limit) {
  for (size_t i = world.count; i-- > 0;) {
    uint64_t first = 0;
    if (world.log[i].position == 0) continue;
    if (world.log[i].position > seen) continue;
    for (size_t k = i + 1; k < world.count && first == 0; k++) {
      if (world.log[k].channel == channel && world.log[k].position > 0) first = world.log[k].position;
    }
    return first <= limit ? first : 0;
  }
  for (size_t k = 0; k < world.count; k++) {
    if (world.log[k].channel == channel && world.log[k].position > 0)
      return world.log[k].position <= limit ? world.log[k].position : 0;
  }
  return 0;
}

/* A client that has seen everything up to there receives a gap: a message must have been published
 * since. */
static void check_gap(unsigned channel, uint64_t seen) { must(world.failing || first_after(channel, seen, UINT64_MAX) > 0); }

/* Returns true if the newest message of a channel up to there is final. */
static bool ended_at(unsigned channel, uint64_t seen, uint64_t *at) {
  for (size_t i = world.count; i-- > 0;) {
    const struct entry *entry = &world.log[i];
    if (entry->channel != channel || entry->position == 0 || entry->position > seen) continue;
    *at = entry->position;
    return entry->is_final;
  }
  return false;
}

/* Returns true if a volatile message comes after every older message of its channel, and before
 * every newer one. */
static bool is_in_place(const struct view *view, size_t number) {
  uint64_t before = 0, after = UINT64_MAX;
  for (size_t i = 0; i < world.count; i++) {
    const struct entry *entry = &world.log[i];
    if (entry->channel != world.log[number].channel || entry->position == 0) continue;
    if (i < number) before = entry->position;
    if (i > number && after == UINT64_MAX) after = entry->position;
  }
  return view->seen < after && (view->seen >= before || view->told || view->begins);
}

/* ---- What a peer receives -------------------------------------------------------------------- */

static void take_message(struct peer *peer, uint64_t id, const char *data) {
  unsigned channel = (unsigned)(data[0] - 'a'), number = (unsigned)strtoul(data + 1, NULL, 10);
  must(channel < CHANNELS && number < world.count);
  const struct entry *entry = &world.log[number];
  struct view *view = &peer->views[channel];
  must(entry->channel == channel && entry->position == id);
  if (peer->transport != WEBSOCKET && id > 0) {
    must(peer->has_id && id > peer->last_id);
    /* A peer that is disconnected here resumes with this id. */
    for (unsigned i = 0; i < CHANNELS; i++) {
      struct view *other = &peer->views[i];
      if (i == channel || !other->subscribed || other->begins || other->is_blurred || forgives(i)) continue;
      must(other->told || first_after(i, other->seen, id - 1) == 0);
      must(!other->is_foreign || other->told);
    }
    peer->last_id = id;
  }
  if (view->is_blurred) return;
  must(view->subscribed);
  if (view->newest[entry->key] <= number) view->newest[entry->key] = number + 1;
  if (id == 0) {
    must(number >= view->last_volatile);
    view->last_volatile = number + 1;
    must(forgives(channel) || is_in_place(view, number));
    return;
  }
  must(id > view->seen || view->begins);
  must(!view->is_foreign || view->told);
  uint64_t expected = first_after(channel, view->seen, UINT64_MAX);
  must(id == expected || view->told || forgives(channel) || (view->begins && (expected == 0 || id <= expected)));
  view->seen = id;
  view->told = view->begins = view->is_foreign = view->ended = false;
  peer->resume[channel] = id;
}

static unsigned channel_in(const char *text) {
  const char *at = strstr(text, "\"channel\":\"");
  must(at && at[11] >= 'a' && at[11] < 'a' + CHANNELS);
  return (unsigned)(at[11] - 'a');
}

static uint64_t position_in(const char *id) {
  must(memcmp(id, world.epoch, EPOCH_LEN) == 0 && id[EPOCH_LEN] == '-');
  return strtoull(id + EPOCH_LEN + 1, NULL, 10);
}

/* Reads an event by its name. Returns false if it is not one of the server's own. */
static bool take_own(struct peer *peer, const char *text) {
  const char *at = strstr(text, "moonwire:");
  if (!at) return false;
  if (strncmp(at, "moonwire:open", 13) == 0) {
    bool recovered = strstr(text, "\"recovered\":true") != NULL;
    for (unsigned i = 0; i < CHANNELS; i++) must(!recovered || !peer->views[i].is_foreign);
    return true;
  }
  if (strncmp(at, "moonwire:ping", 13) == 0) return true;
  struct view *view = &peer->views[channel_in(text)];
  if (strncmp(at, "moonwire:gap", 12) == 0) {
    must(view->subscribed || view->is_blurred);
    if (!view->is_foreign && !view->begins && !view->is_blurred) check_gap(channel_in(text), view->seen);
    view->told = view->was_told = true;
  } else if (strncmp(at, "moonwire:end", 12) == 0) {
    uint64_t last = 0;
    must(view->subscribed || view->is_blurred);
    bool ended = ended_at(channel_in(text), view->seen, &last);
    must(ended || view->told || view->begins || view->is_blurred || forgives(channel_in(text)));
    /* An event stream, whose client resumes with one id for all channels, continues in case the
     * channel does. */
    must(!view->ended);
    view->ended = true;
    if (peer->transport == WEBSOCKET) view->subscribed = false;
  } else {
    must(strncmp(at, "moonwire:unsubscribed", 21) == 0);
    must(view->subscribed || view->is_blurred);
    view->subscribed = false;
  }
  return true;
}

static void take_push(struct peer *peer, const char *object) {
  if (take_own(peer, object)) return;
  const char *id = strstr(object, "\"id\":\""), *data = strstr(object, "\"data\":\"");
  must(data);
  if (data[8] == 'p') return; /* sent to it alone */
  take_message(peer, id ? position_in(id + 6) : 0, data + 8);
}

static void take_answer(struct peer *peer, const char *text) {
  must(peer->answered < peer->asked_count);
  size_t n = peer->answered++;
  must(strtoul(text + 7, NULL, 10) == n);
  struct view *view = &peer->views[peer->asked[n].channel];
  bool ok = strstr(text, ",\"ok\":") != NULL;
  if (peer->asked[n].what == 'u') {
    must(ok);
    view->subscribed = false;
  } else if (peer->asked[n].what == 's' && ok) {
    uint64_t cursor = position_in(strstr(text, "\"id\":\"") + 6);
    bool recovered = strstr(text, "\"recovered\":true") != NULL;
    must(!view->subscribed);
    must(!recovered || (peer->asked[n].has_since && !peer->asked[n].is_foreign));
    *view = (struct view){.subscribed = true, .seen = cursor};
    view->told = view->was_told = peer->asked[n].has_since && !recovered;
    if (view->told && !peer->asked[n].is_foreign) check_gap(peer->asked[n].channel, peer->asked[n].since);
    view->joined = world.count;
    peer->resume[peer->asked[n].channel] = cursor;
    peer->can_resume = true;
  }
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void read_frames(struct peer *peer) {
  for (;;) {
    const unsigned char *at = (const unsigned char *)peer->in.data + peer->body;
    size_t left = peer->in.len - peer->body;
    if (left < 2) return;
    size_t len = at[1] & 0x7f, header = len == 127 ? 10 : len == 126 ? 4 : 2;
    if (left < header) return;
    if (header > 2) len = 0;
    for (size_t i = 2; i < header; i++) len = len << 8 | at[i];
    if (left < header + len) return;
    must(!peer->is_closed);
    char *text = malloc(len + 1);
    memcpy(text, at + header, len);
    text[len] = '\0';
    unsigned opcode = at[0] & 0xf;
    if (opcode == 8) {
      peer->is_closed = true;
      unsigned code = (unsigned)(unsigned char)text[0] << 8 | (unsigned char)text[1];
      must(code == 1013);
    } else if (opcode == 1 && strncmp(text, "{\"ref\":", 7) == 0) {
      take_answer(peer, text);
    } else if (opcode == 1) {
      take_push(peer, text);
    }
    free(text);
    text_consume(&peer->in, peer->body + header + len);
    peer->body = 0;
  }
}

static bool is_own(const char *text) { return strstr(text, "moonwire:") != NULL; }

/* Reads an id without a message: of the beginning, or of the end of all channels. */
static void take_cursor(struct peer *peer, uint64_t cursor) {
  for (unsigned i = 0; peer->has_id && i < CHANNELS; i++) must(!peer->views[i].subscribed || peer->views[i].ended);
  must(cursor >= peer->last_id);
  peer->has_id = peer->can_resume = true;
  peer->last_id = cursor;
}

static void read_block(struct peer *peer, char *block) {
  char *id = strncmp(block, "id: ", 4) == 0 ? block + 4 : strstr(block, "\nid: ");
  if (id && *id == '\n') id += 5;
  char *data = strncmp(block, "data: ", 6) == 0 ? block : strstr(block, "\ndata: ");
  if (data) data += *data == '\n' ? 7 : 6;
  if (!data) {
    /* With envelopes, every event has data. */
    must(id && peer->transport != ENVELOPE);
    take_cursor(peer, position_in(id));
  } else if (is_own(peer->transport == ENVELOPE ? data : block)) {
    take_own(peer, peer->transport == ENVELOPE ? data : block);
    if (id) take_cursor(peer, position_in(id));
  } else if (peer->transport == ENVELOPE) {
    take_push(peer, data);
  } else {
    must(data[0] == '"');
    if (data[1] != 'p') take_message(peer, id ? position_in(id) : 0, data + 1);
  }
  must(!id || !data || id > data);
}

static void read_blocks(struct peer *peer) {
  for (;;) {
    bool is_comment = peer->block.len > 1 && memcmp(peer->block.data, ":\n", 2) == 0;
    if (is_comment) {
      text_consume(&peer->block, 2);
      continue;
    }
    char *end = peer->block.data ? strstr(peer->block.data, "\n\n") : NULL;
    if (!end) return;
    *end = '\0';
    read_block(peer, peer->block.data);
    text_consume(&peer->block, (size_t)(end - peer->block.data) + 2);
  }
}

static void read_stream(struct peer *peer) {
  if (peer->transport == SSE_PLAIN) {
    text_append(&peer->block, peer->in.data + peer->body, peer->in.len - peer->body);
    text_consume(&peer->in, peer->in.len);
    peer->body = 0;
    read_blocks(peer);
    return;
  }
  for (;;) {
    char *at = peer->in.data + peer->body;
    size_t left = peer->in.len - peer->body;
    const char *end = left > 0 ? memchr(at, '\n', left) : NULL;
    if (!end) return;
    size_t head = (size_t)(end - at) + 1, len = strtoul(at, NULL, 16);
    if (left < head + len + 2) return;
    must(!peer->has_ended && memcmp(at + head + len, "\r\n", 2) == 0);
    peer->has_ended = len == 0;
    text_append(&peer->block, at + head, len);
    text_consume(&peer->in, peer->body + head + len + 2);
    peer->body = 0;
    read_blocks(peer);
  }
}

/* Reads the head of the answer. Returns false if it is incomplete, or nothing follows. */
static bool read_head(struct peer *peer) {
  const char *end = strstr(peer->in.data, "\r\n\r\n");
  if (!end) return false;
  peer->body = (size_t)(end - peer->in.data) + 4;
  int status = atoi(peer->in.data + 9);
  if (status == (peer->transport == WEBSOCKET ? 101 : 200)) return true;
  if (status == 204) {
    for (unsigned i = 0; i < CHANNELS; i++) {
      uint64_t last = 0;
      const struct view *view = &peer->views[i];
      if (!view->subscribed) continue;
      /* It has seen the end of each channel, and nothing was published since. */
      must(ended_at(i, view->seen, &last) && !view->begins && !view->is_foreign);
    }
  } else {
    must(world.failing && (status == 503 || status == 500));
  }
  peer->has_ended = true;
  return false;
}

static void take_out(struct peer *peer, size_t size) {
  static char chunk[8192];
  while (peer->memory && size > 0) {
    size_t len = mw_memory_read(peer->memory, chunk, size < sizeof chunk ? size : sizeof chunk);
    if (len == 0) break;
    size -= len;
    text_append(&peer->in, chunk, len);
    if (peer->has_ended && peer->body == 0) continue;
    if (peer->body == 0 && peer->in.len >= 9 && memcmp(peer->in.data, "HTTP/1.1 ", 9) == 0 && !read_head(peer)) continue;
    if (peer->has_ended) continue;
    if (peer->transport == WEBSOCKET) {
      read_frames(peer);
    } else {
      read_stream(peer);
    }
  }
}

/* ---- What a peer does ------------------------------------------------------------------------ */

static void leave(struct peer *peer) {
  if (!peer->memory) return;
  mw_memory_close(peer->memory);
  peer->memory = NULL;
  text_free(&peer->in);
  text_free(&peer->block);
}

static void say(struct peer *peer, const char *text, size_t len) {
  if (mw_memory_write(peer->memory, text, len) == MW_ENOMEM) leave(peer);
}

/* Returns the position from which it resumes: 1 is what it has, 3 a bit older, 6 and 7 much
 * older. */
static uint64_t seen_by(unsigned how, uint64_t has) {
  if (how == 3) return has > 3 ? has - 3 : 0;
  return how == 6 ? world.position / 2 : how == 7 ? world.position / 8 : has;
}

/* Writes an id to resume from: 0 none, 2 "0", 4 a future one, 5 invalid, others as above. Returns
 * true if it is not an id of this server. */
static bool write_since(char *out, size_t size, unsigned how, uint64_t has) {
  unsigned long long position = how == 4 ? world.position + 5 : seen_by(how, has);
  out[0] = '\0';
  if (how == 2) snprintf(out, size, "0");
  if (how == 5) snprintf(out, size, "abc");
  if (how != 0 && how != 2 && how != 5) snprintf(out, size, "%s-%016llu", world.epoch, position);
  return how == 4 || how == 5;
}

static void come(struct peer *peer, enum way transport, unsigned channels, unsigned how) {
  static const char upgrade[] =
      "GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  char text[512], since[64];
  leave(peer);
  settle();
  bool same = peer->transport != WEBSOCKET && transport != WEBSOCKET && peer->can_resume;
  uint64_t has = peer->last_id;
  if (transport == WEBSOCKET) {
    /* It keeps the ids of its channels from its last connection. */
    bool was = peer->transport == WEBSOCKET && peer->can_resume;
    uint64_t resume[CHANNELS];
    memcpy(resume, peer->resume, sizeof resume);
    *peer = (struct peer){.transport = transport, .can_resume = was};
    if (was) memcpy(peer->resume, resume, sizeof resume);
  } else {
    *peer = (struct peer){.transport = transport};
  }
  if (mw_connect_memory(world.server, &peer->memory) < 0) {
    peer->memory = NULL;
    return;
  }
  if (transport == WEBSOCKET) {
    say(peer, upgrade, sizeof upgrade - 1);
    settle();
    return;
  }
  if (channels == 0) channels = 1;
  if ((how == 1 || how == 3) && !same) how = 0;
  bool is_foreign = write_since(since, sizeof since, how, has);
  int len = snprintf(text, sizeof text, "GET /sse?");
  for (unsigned i = 0; i < CHANNELS; i++) {
    if (!(channels & 1u << i)) continue;
    len += snprintf(text + len, sizeof text - (size_t)len, "channel=%c&", 'a' + (int)i);
    struct view *view = &peer->views[i];
    *view = (struct view){.subscribed = true, .begins = how == 0 || how == 2 || is_foreign, .is_foreign = is_foreign};
    view->joined = world.count;
    view->seen = view->begins ? world.position : seen_by(how, has);
  }
  len += snprintf(text + len, sizeof text - (size_t)len, "%ssince=%s HTTP/1.%d\r\nHost: t\r\n\r\n",
                  transport == ENVELOPE ? "envelope=1&" : "", since, transport != SSE_PLAIN);
  say(peer, text, (size_t)len);
  settle();
}

static void say_frame(struct peer *peer, const char *text) {
  size_t len = strlen(text);
  char frame[256] = {(char)0x81, (char)(0x80 | len)};
  must(len < 126);
  memcpy(frame + 6, text, len);
  say(peer, frame, len + 6);
}

static void ask(struct peer *peer, uint8_t what, unsigned channel, unsigned how) {
  char text[160], since[64] = "";
  if (!peer->memory || peer->transport != WEBSOCKET || peer->asked_count == PINGS_MAX) return;
  unsigned ref = (unsigned)peer->asked_count;
  if ((how == 1 || how == 3) && (!peer->can_resume || peer->resume[channel] == 0)) how = 0;
  bool is_foreign = write_since(since, sizeof since, how, peer->resume[channel]);
  int name = 'a' + (int)channel;
  if (what == 's' && since[0]) {
    snprintf(text, sizeof text, "{\"subscribe\":\"%c\",\"since\":\"%s\",\"ref\":%u}", name, since, ref);
  } else if (what == 's') {
    snprintf(text, sizeof text, "{\"subscribe\":\"%c\",\"ref\":%u}", name, ref);
  } else if (what == 'u') {
    snprintf(text, sizeof text, "{\"unsubscribe\":\"%c\",\"ref\":%u}", name, ref);
  } else if (what == 'h') {
    snprintf(text, sizeof text, "{\"history\":\"a\",\"limit\":9,\"ref\":%u}", ref);
  } else {
    snprintf(text, sizeof text, "{\"ping\":true,\"ref\":%u}", ref);
  }
  peer->asked[peer->asked_count].what = what;
  peer->asked[peer->asked_count].channel = (uint8_t)channel;
  peer->asked[peer->asked_count].since = seen_by(how, peer->resume[channel]);
  peer->asked[peer->asked_count].has_since = since[0] != '\0';
  peer->asked[peer->asked_count++].is_foreign = is_foreign;
  say_frame(peer, text);
}

/* ---- What the app does ----------------------------------------------------------------------- */

static void publish(unsigned channel, unsigned how) {
  static char data[BIG + 16];
  static const char *const keys[4] = {"", "k", "l", "m"};
  if (world.count == LOG_MAX) return;
  size_t size = how & 1 ? BIG : how & 2 ? 2000 : 0;
  int len = snprintf(data, sizeof data, "\"%c%06zu", 'a' + (int)channel, world.count);
  memset(data + len, 'x', size);
  data[(size_t)len + size] = '"';
  unsigned key = how >> 2 & 3;
  struct mw_publish message = {.channel = {data + 1, 1}, .data = {data, (size_t)len + size + 1}};
  message.key = (struct mw_bytes){keys[key], strlen(keys[key])};
  message.is_volatile = (how & 0x30) == 0x30;
  message.is_final = (how & 0xf0) == 0xa0 && (how & 2);
  char id[MW_ID_MAX];
  if (mw_publish(world.server, &message, id, NULL) < 0) return;
  uint64_t position = message.is_volatile ? 0 : position_in(id);
  if (position > 0) world.position = position;
  world.log[world.count++] =
      (struct entry){.position = position, .channel = (uint8_t)channel, .key = (uint8_t)key, .is_final = message.is_final};
}

/* Publishes to one of more channels than there are marks. They have no subscribers. */
static void publish_elsewhere(unsigned which) {
  char name[16], id[MW_ID_MAX];
  int len = snprintf(name, sizeof name, "z:%u", which);
  struct mw_publish message = {.channel = {name, (size_t)len}};
  if (mw_publish(world.server, &message, id, NULL) == 0) world.position = position_in(id);
}

/* Reaches one of the known clients: sends to it, or takes it out of a channel, or into one. */
static void reach(unsigned which, unsigned channel, unsigned how) {
  struct mw_client *client = NULL;
  for (unsigned i = 0; i <= which && (i == 0 || client); i++) client = mw_client_next(world.server, client);
  if (!client) return;
  char name = (char)('a' + channel);
  static char data[2002];
  memset(data, 'x', sizeof data);
  data[0] = data[sizeof data - 1] = '"';
  data[1] = 'p';
  struct mw_publish push = {.data = {data, sizeof data}};
  if (how == 0) {
    mw_client_send(world.server, client, &push, NULL);
  } else {
    mw_client_unsubscribe(world.server, client, &name, 1, "kicked", "");
  }
  mw_client_unref(client);
}

/* ---- What must hold -------------------------------------------------------------------------- */

static void check_bounds(void) {
  struct worker *worker = &world.server->workers[0];
  uint64_t bytes = 0;
  for (struct list *link = worker->http.conns.next; link != &worker->http.conns; link = link->next) {
    const struct exchange *exchange = http1_exchange(container_of(link, struct conn, link));
    if (exchange->subscriber.outbox) must(exchange->subscriber.outbox->bytes < 64 * 1024 + 3 * OUTBOX + 3 * BIG);
    if (exchange->subscriber.flags & SUBSCRIBER_BEHIND)
      must(catchup_kept_bytes(&exchange->subscriber) < OUTBOX + 2 * BIG || exchange->subscriber.flags & SUBSCRIBER_SLOW);
  }
  const struct store *store = &world.server->store;
  for (struct list *link = store->all.next; link != &store->all; link = link->next)
    bytes += history_weight(&container_of(link, struct stored, link)->history, 0);
  must(bytes == store->history_bytes && bytes <= store->history_max);
}

/* Everything was read: each connected peer has everything, or knows that it has not. */
static void check_peers(void) {
  memory_fail_after(0);
  for (unsigned round = 0; round < 40; round++) {
    settle();
    for (unsigned i = 0; i < PEERS; i++) take_out(&world.peers[i], SIZE_MAX);
  }
  settle();
  for (unsigned i = 0; i < PEERS; i++) {
    const struct peer *peer = &world.peers[i];
    if (!peer->memory || mw_memory_ended(peer->memory) || peer->is_closed || peer->has_ended) continue;
    must(peer->answered == peer->asked_count);
    for (unsigned k = 0; k < CHANNELS; k++) {
      const struct view *view = &peer->views[k];
      if (!view->subscribed || view->is_blurred) continue;
      if (forgives(k)) {
        /* The newest message of each key since it subscribed, volatile ones included. */
        bool done[4] = {false};
        for (size_t n = world.count; n-- > view->joined && !view->was_told;) {
          const struct entry *entry = &world.log[n];
          if (entry->channel != k || done[entry->key]) continue;
          done[entry->key] = true;
          must(view->newest[entry->key] == n + 1);
        }
        continue;
      }
      must(view->told || first_after(k, view->seen, UINT64_MAX) == 0);
      must(!view->is_foreign || view->told);
    }
  }
  struct worker *worker = &world.server->workers[0];
  for (struct list *link = worker->http.conns.next; link != &worker->http.conns; link = link->next)
    must(!(http1_exchange(container_of(link, struct conn, link))->subscriber.flags & SUBSCRIBER_BEHIND));
}

static void operate(uint8_t what, uint8_t which) {
  struct peer *peer = &world.peers[which % PEERS];
  unsigned channel = which >> 2 & 7, more = which >> 5;
  switch (what % 16) {
    case 0: come(peer, (enum way)(what >> 6), which >> 2 | 1u << (which >> 4 & 7), what >> 4 & 3); break;
    case 1: come(peer, (enum way)(what >> 6), which | 1u << (which & 7), (1 + (what >> 5 & 1) * (which >> 5)) % 8); break;
    case 2:
    case 3: ask(peer, 's', channel, more); break;
    case 4: ask(peer, 'u', channel, 0); break;
    case 5: ask(peer, more & 1 ? 'h' : 'p', 0, 0); break;
    case 6:
    case 7:
    case 8: publish(which & 7, which >> 3 | (what & 0xe0u)); break;
    case 9:
      for (unsigned i = 0; i < 10; i++) publish(which & 7, which >> 3 | 1u);
      break;
    case 10: take_out(peer, (size_t)(what >> 4) * 600 + which); break;
    case 11: take_out(peer, SIZE_MAX); break;
    case 12:
      for (unsigned i = 0; what & 0x40 && i <= (what >> 4 & 3) * 8u; i++) publish_elsewhere(which + i);
      mw_server_advance(world.server, (uint64_t)which * (what & 0x80 ? 100 : 4));
      break;
    case 13:
      if (what & 0x80) {
        memory_fail_after(1 + which % 32);
        world.failing = true;
      } else if (what & 0x40) {
        store_sweep(&world.server->store, which);
      } else {
        leave(peer);
      }
      break;
    case 14: reach(which & 3, channel, what >> 4 & 1); break;
    case 15: check_peers(); break;
  }
  if (what % 16 < 6 || what % 16 > 9 || what & 0x10) settle();
}

static void begin(void) {
  struct mw_config_options options;
  struct mw_config *config;
  memset(&world, 0, sizeof world);
  mw_config_options_init(&options);
  struct mw_limits *limits = &options.limits;
  limits->outbox = OUTBOX;
  limits->history = 400000;
  limits->marks = MARKS;
  limits->replay = 30;
  limits->replay_bytes = 200000;
  limits->heartbeat_ms = limits->ping_ms = limits->pong_ms = limits->progress_ms = limits->idle_ms = UINT32_MAX;
  limits->head_ms = limits->body_ms = limits->message_ms = limits->drain_ms = UINT32_MAX;
  must(mw_config_new(&config, &options, NULL) == 0);
  for (int i = 0; i < CHANNELS; i++) {
    char pattern[2] = {(char)('a' + i), '\0'};
    must(mw_config_channel(config, pattern, &kinds[i], NULL) == i);
  }
  must(mw_config_channel(config, "z:{n}", &(struct mw_channel_options){.hooks = 0}, NULL) == CHANNELS);
  must(mw_server_new(&world.server, &(struct mw_server_options){.config = config}, NULL) == 0);
  mw_config_unref(config);
  mw_server_advance(world.server, 1);
  memcpy(world.epoch, bus_epoch(&world.server->bus).text, EPOCH_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mw_log_to(MW_LOG_ERROR + 1, NULL, NULL);
  begin();
  for (size_t i = 0; i + 1 < size; i += 2) {
    operate(data[i], data[i + 1]);
    check_bounds();
  }
  check_peers();
  must(world.failing || world.server->store.floor_gaps == 0);
  for (size_t i = 0; i < PEERS; i++) leave(&world.peers[i]);
  settle();
  mw_server_free(world.server);
  must(memory_live() == 0 && object_live(OBJECT_MESSAGE) == 0 && object_live(OBJECT_SUBSCRIPTION) == 0);
  return 0;
}
