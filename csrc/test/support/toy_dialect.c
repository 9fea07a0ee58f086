#include "test/support/toy_dialect.h"

#include "dialect/native.h"

enum { TOY_CLOSED = 4200 };

/* ---- Reading ------------------------------------------------------------------------------------------------------------------ */

static struct bytes take_word(struct bytes *line) {
  size_t len = bytes_find(*line, ' '), next = len < line->len ? len + 1 : len;
  struct bytes word = bytes_of(line->ptr, len);
  *line = bytes_of(line->ptr + next, line->len - next);
  return word;
}

static const char *read_line(struct bytes line, struct verb *verb) {
  static const char *const words[] = {"JOIN", "LEAVE", "SAY", "WHO", "PAST", "PING"};
  static const enum verb_type types[] = {VERB_SUBSCRIBE, VERB_UNSUBSCRIBE, VERB_SEND, VERB_PRESENCE, VERB_HISTORY, VERB_PING};
  size_t i = 0;
  *verb = (struct verb){.ref.raw = take_word(&line), .event = BYTES("say")};
  while (i < sizeof words / sizeof *words && !bytes_equal(verb->ref.raw, bytes_string(words[i]))) i++;
  if (i == sizeof words / sizeof *words) return "no such word";
  verb->type = types[i];
  verb->channel = take_word(&line);
  if (verb->type == VERB_SEND) return json_scan(line, &verb->data, NULL) ? NULL : "no data";
  if (line.len > 0) verb->since = line;
  return NULL;
}

static enum read_result next(struct dialect_reader *reader, struct bytes *in, bool is_binary, struct verb *verb,
                             struct refusal *refusal) {
  size_t end = bytes_find(*in, '\n'), taken = end < in->len ? end + 1 : end;
  (void)is_binary;
  buffer_append(&reader->kept, bytes_of(in->ptr, end));
  *in = bytes_of(in->ptr + taken, in->len - taken);
  if (taken == end) return READ_NOTHING;
  buffer_clear(&reader->text);
  buffer_append(&reader->text, buffer_bytes(&reader->kept));
  buffer_clear(&reader->kept);
  const char *fault = read_line(buffer_bytes(&reader->text), verb);
  if (fault) *refusal = (struct refusal){.channel = verb->channel, .code = "bad_request", .reason = fault};
  return fault ? READ_FAULT : READ_VERB;
}

static struct bytes find_ref(struct bytes text) { return take_word(&text); }

/* ---- Writing ------------------------------------------------------------------------------------------------------------------ */

static void write_line(struct buffer *out, const char *word, struct bytes name, struct bytes more) {
  buffer_append_format(out, "%s %.*s %.*s\n", word, (int)name.len, name.ptr, (int)more.len, more.ptr);
}

static void write_members(struct buffer *out, const struct told *told, struct bytes after) {
  struct roster *roster = NULL;
  struct roster_member member;
  const struct bytes *last = after.len > 0 ? &after : NULL;
  if (!hub_roster(told->hub, told->channel->name, &roster)) out->failed = true;
  for (; roster_next(roster, last, &member); last = &member.id) write_line(out, "MEMBER", member.id, member.info);
}

static void ok(struct rope *out, struct bytes ref, const struct outcome *outcome) {
  const struct history_page *page = outcome->page;
  write_line(&out->text, "OK", ref, outcome->id.len > 0 ? outcome->id : outcome->value);
  if (outcome->gap_count > 0) write_line(&out->text, "GAP", outcome->told.channel->name, bytes_of(NULL, 0));
  if (outcome->type == OUTCOME_MEMBERS) write_members(&out->text, &outcome->told, outcome->query.after);
  for (uint32_t i = 0; page && i < page->count; i++)
    write_line(&out->text, "WAS", BYTES("-"), history_at(page->history, page->first + i)->parts.data);
}

static void error(struct rope *out, struct bytes ref, const struct refusal *refusal) {
  write_line(&out->text, "NO", ref, bytes_string(refusal->code));
}

static void event(const struct dialect *dialect, struct rope *out, const struct event *event) {
  static const char *const words[] = {
      [EVENT_GAP] = "GAP", [EVENT_END] = "END", [EVENT_CURSOR] = "AT", [EVENT_PRESENCE] = "HERE", [EVENT_UNSUBSCRIBED] = "GONE"};
  (void)dialect;
  write_line(&out->text, words[event->type], event->channel, event->code ? bytes_string(event->code) : event->id);
  if (event->type == EVENT_PRESENCE) write_members(&out->text, &event->told, bytes_of(NULL, 0));
}

static unsigned close_code(const struct closing *closing) { return TOY_CLOSED + (unsigned)closing->reason; }

/* ---- Messages ----------------------------------------------------------------------------------------------------------------- */

/* The id is the last word. */
static struct blob *encode(const struct message *message, struct bytes id, size_t position_at[2]) {
  struct buffer line;
  buffer_init(&line);
  buffer_append_format(&line, "%s %.*s ", message->parts.type == MESSAGE_PRESENCE ? "CHANGE" : "MSG",
                       (int)message->parts.channel.len, message->parts.channel.ptr);
  buffer_append(&line, message->parts.data);
  if (id.len > 0) buffer_append_char(&line, ' ');
  buffer_append(&line, id);
  struct blob *blob = line.failed ? NULL : form_frame(WS_OPCODE_TEXT, buffer_bytes(&line), bytes_of(NULL, 0));
  buffer_deinit(&line);
  if (blob && id.len > 0) position_at[0] = blob->len - (ID_LEN - EPOCH_LEN - 1);
  return blob;
}

static const struct form_class toy_form = {.carrier = &carrier_websocket, .cursor_per_channel = true, .encode = encode};

static const struct dialect toy = {.subprotocol = "toy",
                                   .ping = {"PING\n", 5},
                                   .form = &toy_form,
                                   .item = &toy_form,
                                   .next = next,
                                   .find_ref = find_ref,
                                   .ok = ok,
                                   .error = error,
                                   .event = event,
                                   .close_code = close_code};

static const struct dialect *const websockets[] = {&native_websocket, &native_moonwire_1, &toy, NULL};

const struct dialect_table toy_dialects = {
    .websockets = websockets, .stream = &native_stream, .envelope = &native_enveloped, .poll = &native_polls};
