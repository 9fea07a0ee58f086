#include "fuzz/world/server_peer.h"

#include <ctype.h>
#include <string.h>

#include "fuzz/fuzz.h"

/* WORD_MAX bounds every word that the peer looks for, with its values, except lists of members, of
 * which up to HELD_MAX bytes are awaited. */
enum { WORD_MAX = 96, HELD_MAX = 4096, DIGITS = 5 };

static bool is_stream(const struct peer *peer) { return peer->kind <= PEER_ENVELOPE; }
static bool is_poll(const struct peer *peer) { return peer->kind >= PEER_POLL; }

/* Returns the next message of the channel with an id, from `at` on, or `count` if there is none. */
static size_t next_kept(const struct record *record, unsigned channel, size_t at) {
  while (at < record->count && (record->entries[at].channel != channel || record->entries[at].is_volatile)) at++;
  return at;
}

static void take_message(struct peer *peer, unsigned channel, size_t number) {
  struct view *view = &peer->views[channel];
  must(number < peer->record->count && peer->record->entries[number].channel == channel);
  if (view->is_blurred) return;
  must(view->begins || number >= view->next);
  bool is_volatile = peer->record->entries[number].is_volatile;
  /* No message with an id may be missing before it; volatile ones may be. A volatile message tells
   * nothing to a peer that has none yet. */
  if (!view->begins && !view->told) must(next_kept(peer->record, channel, view->next) >= number);
  view->next = number + 1;
  if (is_volatile) return;
  view->begins = view->told = false;
}

/* Begins another subscription. If somebody else subscribes or unsubscribes the peer, the channel
 * stays blurred: messages that it has not read yet may be older. */
static void begin_view(struct view *view, bool told) {
  *view = (struct view){.begins = true, .told = told, .is_blurred = view->is_blurred};
}

static struct view *view_in(struct peer *peer, const char *text) {
  const char *at = strstr(text, "\"channel\":\"");
  if (!at || at - text > WORD_MAX || at[11] < 'a' || at[11] >= 'a' + PEER_CHANNELS) return NULL;
  return &peer->views[at[11] - 'a'];
}

static void take_own(struct peer *peer, const char *name) {
  struct view *view = view_in(peer, name);
  if (!view) return;
  if (strncmp(name, "gap", 3) == 0) view->told = true;
  /* A stream stays in a channel that has ended. */
  if (strncmp(name, "unsubscribed", 12) == 0) begin_view(view, true);
  if (strncmp(name, "end", 3) == 0 && !is_stream(peer)) begin_view(view, true);
}

static void take_gaps(struct peer *peer, const char *list) {
  for (; *list && *list != ']'; list++) {
    if (*list >= 'a' && *list < 'a' + PEER_CHANNELS) peer->views[*list - 'a'].told = true;
  }
}

/* ---- Members --------------------------------------------------------------------------------- */

/* Reads the members of a channel. If the text is incomplete, or may be of a channel that it has
 * left, nothing is known. */
static void take_members(struct view *view, const char *object) {
  if (!view->is_blurred && object && members_object_end(object)) {
    members_take(&view->members, object);
  } else {
    view->members.is_known = false;
  }
}

static void take_opened(void *context, const char *name, const char *value) {
  struct peer *peer = context;
  must(*name >= 'a' && *name < 'a' + PEER_CHANNELS && name[1] == '"');
  const char *snapshot = members_value(value, "presence");
  if (snapshot) take_members(&peer->views[*name - 'a'], snapshot);
}

/* Reads snapshots in acknowledgements and in moonwire:open, and changes. A stream without envelopes
 * does not name the channel, and polls read the members when they ask. */
static void look_for_members(struct peer *peer, const char *at) {
  static const char change[] = "\",\"event\":\"moonwire:presence\",\"data\":", open[] = "{\"event\":\"moonwire:open\",\"data\":";
  if (peer->kind == PEER_SSE || is_poll(peer)) return;
  if (strncmp(at, "{\"channel\":\"", 12) == 0 && at[12] >= 'a' && at[12] < 'a' + PEER_CHANNELS &&
      strncmp(at + 13, change, sizeof change - 1) == 0)
    take_members(&peer->views[at[12] - 'a'], at + 13 + sizeof change - 1);
  if (strncmp(at, "\"ref\":\"s", 8) == 0 && strncmp(at + 9, "\",\"ok\":{", 8) == 0) {
    const char *ok = at + 9 + 7, *end = members_object_end(ok);
    take_members(&peer->views[at[8] - 'a'], end ? members_value(ok, "presence") : NULL);
  }
  if (strncmp(at, open, sizeof open - 1) == 0) {
    const char *data = at + sizeof open - 1, *end = members_object_end(data);
    const char *channels = end ? members_value(data, "channels") : NULL;
    if (channels) members_each(channels, take_opened, peer);
  }
}

bool peer_knows_members(const struct peer *peer, struct mw_server *server) {
  bool all = true;
  if (!peer->memory || peer->has_ended || is_poll(peer) || mw_memory_ended(peer->memory)) return true;
  for (unsigned i = 0; i < PEER_CHANNELS; i++) {
    char name[2] = {(char)('a' + i), '\0'};
    all = all && (peer->views[i].is_blurred || members_agree(&peer->views[i].members, server, name));
  }
  return all;
}

static void copy_word(char *out, size_t size, const char *text) { snprintf(out, size, "%.*s", (int)strcspn(text, "\"\n"), text); }

/* The payloads of all other frames are JSON, so that no length can look like the start of one. */
static bool is_close_frame(const struct peer *peer, const char *at) {
  bool is_websocket = peer->kind == PEER_WEBSOCKET || peer->kind == PEER_MOONWIRE_1;
  return is_websocket && at[0] == '\x88' && at[1] >= 2 && (at[2] == 1000 >> 8 || at[2] == 4000 >> 8 || at[2] == 4403 >> 8);
}

/* Checks one place. Returns the number of bytes to advance. */
static size_t look_at(struct peer *peer, const char *at) {
  if (at[0] == '"' && at[1] >= 'a' && at[1] < 'a' + PEER_CHANNELS && isdigit((unsigned char)at[2]) && at[2 + DIGITS] == '"') {
    take_message(peer, (unsigned)(at[1] - 'a'), strtoul(at + 2, NULL, 10));
    return 2 + DIGITS;
  }
  if (is_close_frame(peer, at)) peer->has_ended = true;
  if (strncmp(at, "moonwire:", 9) == 0) take_own(peer, at + 9);
  if (strncmp(at, "\"gaps\":[", 8) == 0) take_gaps(peer, at + 8);
  if (is_poll(peer) && strncmp(at, "\r\n{\"id\":\"", 9) == 0) copy_word(peer->id, sizeof peer->id, at + 9);
  if (strncmp(at, "\"client\":\"", 10) == 0) copy_word(peer->client, sizeof peer->client, at + 10);
  /* Acknowledgements: "s" and the channel. */
  if (strncmp(at, "\"ref\":\"s", 8) == 0 && strncmp(at + 9, "\",\"ok\"", 6) == 0) begin_view(&peer->views[at[8] - 'a'], false);
  look_for_members(peer, at);
  if (strncmp(at, "\"ref\":\"u", 8) == 0) begin_view(&peer->views[at[8] - 'a'], false);
  return 1;
}

static void read_head(struct peer *peer) {
  const char *end = strstr(peer->in, "\r\n\r\n");
  if (!end || peer->has_head) return;
  peer->has_head = true;
  int status = atoi(peer->in + 9);
  if (status != (peer->kind == PEER_WEBSOCKET || peer->kind == PEER_MOONWIRE_1 ? 101 : 200)) peer->has_ended = true;
}

static void look(struct peer *peer, bool is_all) {
  size_t at = 0, end = is_all || peer->len < HELD_MAX ? peer->len : peer->len - HELD_MAX;
  if (!is_all && peer->len < HELD_MAX) return;
  read_head(peer);
  while (at < end) at += look_at(peer, peer->in + at);
  if (at > peer->len) at = peer->len;
  memmove(peer->in, peer->in + at, peer->len - at + 1);
  peer->len -= at;
}

void peer_read(struct peer *peer, size_t size) {
  char chunk[4096];
  bool is_all = false;
  while (peer->memory && size > 0) {
    size_t len = mw_memory_read(peer->memory, chunk, size < sizeof chunk ? size : sizeof chunk);
    is_all = len == 0;
    if (is_all) break;
    size -= len;
    if (peer->len + len + 1 > peer->capacity) {
      peer->capacity = 2 * (peer->len + len) + 64;
      peer->in = realloc(peer->in, peer->capacity);
    }
    /* Frames have zeros in their headers, which would end a text. */
    for (size_t i = 0; i < len; i++) peer->in[peer->len + i] = chunk[i] ? chunk[i] : ' ';
    peer->len += len;
    peer->in[peer->len] = '\0';
    look(peer, false);
  }
  if (is_all && peer->len > 0) look(peer, true);
}

void peer_check(struct peer *peer) {
  if (!peer->memory || peer->has_ended || is_poll(peer) || mw_memory_ended(peer->memory)) return;
  for (unsigned i = 0; i < PEER_CHANNELS; i++) {
    const struct view *view = &peer->views[i];
    if (view->begins || view->told || view->is_blurred) continue;
    must(next_kept(peer->record, i, view->next) == peer->record->count);
  }
}

void peer_begin(struct peer *peer, enum peer_kind kind, bool again) {
  struct peer before = *peer;
  *peer = (struct peer){.kind = kind, .record = before.record, .in = before.in, .capacity = before.capacity};
  for (unsigned i = 0; i < PEER_CHANNELS; i++) peer->views[i] = again ? before.views[i] : (struct view){.begins = true};
  if (!again) return;
  memcpy(peer->id, before.id, sizeof peer->id);
  memcpy(peer->client, before.client, sizeof peer->client);
}

void peer_say(struct peer *peer, const char *bytes, size_t len) {
  if (peer->memory && mw_memory_write(peer->memory, bytes, len) == MW_ENOMEM) peer_leave(peer);
}

void peer_say_frame(struct peer *peer, const char *text) {
  size_t len = strlen(text);
  char frame[140] = {(char)0x81, (char)(0x80 | len)};
  must(len < 126);
  memcpy(frame + 6, text, len);
  peer_say(peer, frame, len + 6);
}

void peer_leave(struct peer *peer) {
  if (peer->memory) mw_memory_close(peer->memory);
  peer->memory = NULL;
  free(peer->in);
  peer->in = NULL;
  peer->len = peer->capacity = 0;
}
