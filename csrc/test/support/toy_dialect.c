#include "test/support/toy_dialect.h"

#include "dialect/native.h"
#include "hub/news.h"

enum { TOY_CLOSED = 4200 };

/* ---- Reading --------------------------------------------------------------------------------- */

static struct bytes take_word(struct bytes *line) {
  size_t len = bytes_find(*line, ' '), taken = len < line->len ? len + 1 : len;
  struct bytes word = bytes_of(line->ptr, len);
  *line = bytes_of(line->ptr + taken, line->len - taken);
  return word;
}

static const char *read_line(struct bytes line, struct verb *verb) {
  static const char *const words[VERB_COUNT] = {"JOIN", "LEAVE", "SAY", "WHO", "PAST", "TOKEN", "PING", "CONNECT"};
  *verb = (struct verb){.ref.raw = take_word(&line), .event = BYTES("say")};
  verb->channel = take_word(&line);
  if (line.len > 0) verb->since = line;
  while (verb->type < VERB_COUNT && !bytes_equal(verb->ref.raw, bytes_string(words[verb->type]))) verb->type++;
  if (verb->type == VERB_COUNT) return "no such word";
  return verb->type != VERB_SEND || json_scan(line, &verb->data, NULL) ? NULL : "no data";
}

static enum read_result next(struct dialect_reader *reader, struct bytes *in, bool is_binary, struct verb *verb,
                             struct refusal *refusal) {
  size_t len = bytes_find(*in, '\n'), taken = len < in->len ? len + 1 : len;
  (void)is_binary;
  buffer_append(&reader->kept, bytes_of(in->ptr, len));
  *in = bytes_of(in->ptr + taken, in->len - taken);
  if (taken == len) return READ_NOTHING;
  buffer_clear(&reader->text);
  buffer_append(&reader->text, buffer_bytes(&reader->kept));
  buffer_clear(&reader->kept);
  const char *fault = read_line(buffer_bytes(&reader->text), verb);
  if (fault) *refusal = (struct refusal){.channel = verb->channel, .code = "bad_request", .reason = fault};
  return fault ? READ_FAULT : READ_VERB;
}

static struct bytes find_ref(struct bytes text) { return take_word(&text); }

/* ---- Writing --------------------------------------------------------------------------------- */

static void write_line(struct buffer *out, const char *word, struct bytes name, struct bytes more) {
  buffer_append_format(out, "%s %.*s %.*s\n", word, (int)name.len, name.ptr, (int)more.len, more.ptr);
}

static void write_members(struct buffer *out, const struct told *told) {
  struct roster *roster = NULL;
  struct roster_member member = {.connections = 0};
  if (!hub_roster(told->hub, told->channel->name, &roster)) out->failed = true;
  while (roster_next(roster, member.id.ptr ? &member.id : NULL, &member)) write_line(out, "MEMBER", member.id, member.info);
}

static void ok(struct rope *out, struct bytes ref, const struct outcome *outcome) {
  const struct history_page *page = outcome->page;
  write_line(&out->text, "OK", ref, outcome->id.len > 0 ? outcome->id : outcome->value);
  if (outcome->gap_count > 0) write_line(&out->text, "GAP", outcome->told.channel->name, BYTES(""));
  if (outcome->type == OUTCOME_MEMBERS) write_members(&out->text, &outcome->told);
  for (uint32_t i = 0; page && i < page->count; i++)
    write_line(&out->text, "WAS", BYTES("-"), history_at(page->history, page->first + i)->parts.data);
}

static void error(struct rope *out, struct bytes ref, const struct refusal *refusal) {
  write_line(&out->text, "NO", ref, bytes_string(refusal->code));
}

static void event(const struct dialect *dialect, struct rope *out, const struct event *event) {
  static const char *const words[] = {"GAP", "END", "AT", "SOON", "HERE", "GONE"}; /* as enum event_type */
  (void)dialect;
  write_line(&out->text, words[event->type], event->channel, bytes_string(event->code ? event->code : ""));
}

static unsigned close_code(const struct closing *closing) { return TOY_CLOSED + (unsigned)closing->reason; }

/* The id is the last word. */
static struct blob *encode(const struct message *message, struct bytes id, size_t position_at[2]) {
  const struct message_parts *parts = &message->parts;
  struct buffer line = {0};
  buffer_append_format(&line, "%s %.*s ", parts->type == MESSAGE_EVENT ? "MSG" : "CHANGE", (int)parts->channel.len,
                       parts->channel.ptr);
  if (parts->type == MESSAGE_EVENT) buffer_append(&line, parts->data);
  if (parts->type == MESSAGE_PRESENCE) buffer_append_u64(&line, parts->news->count);
  buffer_append_format(&line, " %.*s", (int)id.len, id.ptr);
  struct blob *blob = line.failed ? NULL : form_frame(WS_OPCODE_TEXT, buffer_bytes(&line), bytes_of(NULL, 0));
  buffer_deinit(&line);
  if (blob && id.len > 0) position_at[0] = blob->len - POSITION_DIGITS;
  return blob;
}

static const struct form_class form = {.carrier = &carrier_websocket, .cursor_per_channel = true, .encode = encode};
static const struct dialect toy = {.subprotocol = "toy",
                                   .ping = {"PING\n", 5},
                                   .form = &form,
                                   .item = &form,
                                   .next = next,
                                   .find_ref = find_ref,
                                   .ok = ok,
                                   .error = error,
                                   .event = event,
                                   .close_code = close_code};
static const struct dialect *const websockets[] = {&native_websocket, &native_moonwire_1, &toy, NULL};
const struct dialect_table toy_dialects = {.websockets = websockets,
                                           .stream = &native_stream,
                                           .envelope = &native_enveloped,
                                           .poll = &native_polls,
                                           .follow = &native_follow};
