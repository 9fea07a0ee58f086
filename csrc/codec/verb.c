#include "codec/verb.h"

#include <stdio.h>

#include "base/base64.h"
#include "codec/envelope.h"
#include "codec/json_salvage.h"

enum { REF_MAX = 64 };

static const char out_of_memory[] = "out of memory";

/* The members of an object that are used, as raw JSON. */
struct members {
  struct json_value verbs[VERB_COUNT];
  struct json_value ref, event, data, since, before, after, limit, idempotency_key, base64;
};

/* The buffer for decoded strings. They are never longer than the object, or twice the object with
 * base64. So one reservation is enough, and decoded strings do not move. */
struct decoder {
  struct buffer *text;
  size_t most;
};

/* ---- Members --------------------------------------------------------------------------------- */

static void note_member(struct members *members, struct json_value name, struct json_value value) {
  const struct {
    struct bytes name;
    struct json_value *value;
  } known[] = {
      {BYTES("subscribe"), &members->verbs[VERB_SUBSCRIBE]},
      {BYTES("unsubscribe"), &members->verbs[VERB_UNSUBSCRIBE]},
      {BYTES("send"), &members->verbs[VERB_SEND]},
      {BYTES("presence"), &members->verbs[VERB_PRESENCE]},
      {BYTES("history"), &members->verbs[VERB_HISTORY]},
      {BYTES("token"), &members->verbs[VERB_TOKEN]},
      {BYTES("ping"), &members->verbs[VERB_PING]},
      {BYTES("connect"), &members->verbs[VERB_CONNECT]},
      {BYTES("ref"), &members->ref},
      {BYTES("event"), &members->event},
      {BYTES("data"), &members->data},
      {BYTES("since"), &members->since},
      {BYTES("before"), &members->before},
      {BYTES("after"), &members->after},
      {BYTES("limit"), &members->limit},
      {BYTES("idempotency_key"), &members->idempotency_key},
      {BYTES("base64"), &members->base64},
  };
  for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
    if (json_string_equal(name, known[i].name)) *known[i].value = value;
  }
}

static void note_members(struct members *members, struct json_value object) {
  struct bytes rest = object.raw;
  struct json_value name, value;
  while (json_next_member(&rest, &name, &value)) note_member(members, name, value);
}

/* ---- Values: the functions return NULL, or the fault ----------------------------------------- */

/* A string without escapes is not copied. */
static const char *decode(struct decoder *decoder, struct json_value string, struct bytes *out) {
  struct bytes inside = bytes_of(string.raw.ptr + 1, string.raw.len - 2);
  *out = inside;
  if (bytes_find(inside, '\\') == inside.len) return NULL;
  size_t start = decoder->text->len;
  bool has_room = buffer_reserve(decoder->text, decoder->most - start) != NULL;
  *out = bytes_of(NULL, 0);
  if (!has_room) return out_of_memory;
  json_string_decode(string, decoder->text);
  *out = bytes_of(decoder->text->data + start, decoder->text->len - start);
  return NULL;
}

/* Reads a string that may be absent. `fault` is returned for any other type. */
static const char *read_text(struct decoder *decoder, struct json_value value, const char *fault, struct bytes *out) {
  if (value.type == JSON_NONE) return NULL;
  return value.type == JSON_STRING ? decode(decoder, value, out) : fault;
}

static bool is_int64(struct json_value number) {
  struct bytes digits = number.raw;
  uint64_t value, most = INT64_MAX;
  if (digits.ptr[0] == '-') {
    digits = bytes_of(digits.ptr + 1, digits.len - 1);
    most++;
  }
  return bytes_to_u64(digits, &value) && value <= most;
}

static const char *read_ref(struct decoder *decoder, struct json_value value, struct verb *verb) {
  const char *fault = "ref must be an integer of 64 bits or a string of at most 64 bytes";
  struct bytes decoded;
  if (value.type == JSON_NUMBER) {
    if (!is_int64(value)) return fault;
  } else if (value.type == JSON_STRING) {
    const char *failure = decode(decoder, value, &decoded);
    if (failure) return failure;
    if (decoded.len > REF_MAX) return fault;
  } else if (value.type != JSON_NONE) {
    return fault;
  }
  verb->ref = value;
  return NULL;
}

static const char *read_channel(struct decoder *decoder, struct json_value value, struct verb *verb) {
  struct bytes name = {NULL, 0};
  const char *fault = read_text(decoder, value, "the channel name must be a string", &name);
  if (!fault) fault = channel_name_fault(name);
  if (!fault) verb->channel = name;
  return fault;
}

static const char *read_event(struct decoder *decoder, struct json_value value, struct verb *verb) {
  verb->event = BYTES("message");
  const char *fault = read_text(decoder, value, "event must be a string", &verb->event);
  return fault ? fault : event_name_fault(verb->event);
}

static const char *read_key(struct decoder *decoder, struct json_value value, struct verb *verb) {
  struct bytes key = {NULL, 0};
  if (value.type == JSON_NONE) return NULL;
  const char *fault = read_text(decoder, value, "idempotency_key must be a string", &key);
  if (!fault && (key.len == 0 || key.len > VERB_KEY_MAX)) fault = "idempotency_key must be 1 to 128 bytes long";
  if (!fault) verb->idempotency_key = key;
  return fault;
}

/* Decodes bytes that are given as base64. They are fewer than their text. */
static const char *read_base64(struct decoder *decoder, const struct members *members, struct verb *verb) {
  struct bytes text = {NULL, 0};
  if (members->base64.type == JSON_NONE) return NULL;
  if (members->data.type != JSON_NONE) return "a send must have data or base64, not both";
  const char *fault = read_text(decoder, members->base64, "base64 must be a string", &text);
  if (fault) return fault;
  size_t start = decoder->text->len;
  if (!buffer_reserve(decoder->text, decoder->most - start)) return out_of_memory;
  if (!base64_read(decoder->text, text)) return decoder->text->failed ? out_of_memory : "invalid base64; padding is required";
  verb->is_binary = true;
  verb->payload = bytes_of(decoder->text->data + start, decoder->text->len - start);
  return NULL;
}

static const char *read_limit(struct json_value value, struct verb *verb) {
  uint64_t limit;
  if (value.type == JSON_NONE) return NULL;
  if (value.type != JSON_NUMBER || !bytes_to_u64(value.raw, &limit) || limit == 0 || limit > UINT32_MAX)
    return "limit must be an integer between 1 and 4294967295";
  verb->limit = (uint32_t)limit;
  return NULL;
}

static const char *read_connect(struct decoder *decoder, struct json_value value, struct verb *verb) {
  struct members members = {0};
  if (value.type != JSON_OBJECT) return "connect must be an object";
  note_members(&members, value);
  return read_text(decoder, members.verbs[VERB_TOKEN], "the token must be a string", &verb->token);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static const char *find_verb(const struct members *members, struct verb *verb) {
  size_t count = 0;
  for (int type = 0; type < VERB_COUNT; type++) {
    if (members->verbs[type].type == JSON_NONE) continue;
    verb->type = (enum verb_type)type;
    count++;
  }
  if (count == 0) return "the object has no verb: subscribe, unsubscribe, send, presence, history, token, ping, or connect";
  return count == 1 ? NULL : "the object has more than one verb";
}

/* Reads the value of the verb itself. */
static const char *read_object_of_verb(struct decoder *decoder, struct json_value value, struct verb *verb) {
  switch (verb->type) {
    case VERB_TOKEN: return read_text(decoder, value, "the token must be a string", &verb->token);
    case VERB_PING: return value.type == JSON_TRUE ? NULL : "ping must be true";
    case VERB_CONNECT: return read_connect(decoder, value, verb);
    default: return read_channel(decoder, value, verb);
  }
}

/* Reads the other members. */
static const char *read_details(struct decoder *decoder, const struct members *members, struct verb *verb) {
  const char *fault = NULL;
  if (verb->type == VERB_SEND) {
    verb->data = members->data;
    fault = read_event(decoder, members->event, verb);
    if (!fault) fault = read_key(decoder, members->idempotency_key, verb);
    if (!fault) fault = read_base64(decoder, members, verb);
  }
  if (verb->type == VERB_SUBSCRIBE || verb->type == VERB_HISTORY)
    fault = read_text(decoder, members->since, "since must be a string", &verb->since);
  if (verb->type == VERB_HISTORY) {
    if (!fault) fault = read_text(decoder, members->before, "before must be a string", &verb->before);
    if (!fault) fault = read_limit(members->limit, verb);
  }
  if (verb->type == VERB_PRESENCE) {
    fault = read_text(decoder, members->after, "after must be a string: the id of a user", &verb->after);
    if (!fault) fault = read_limit(members->limit, verb);
  }
  return fault;
}

static struct verb_fault verb_refuse(const char *reason, int64_t offset) {
  if (!reason) return (struct verb_fault){NULL, NULL, -1};
  return (struct verb_fault){reason == out_of_memory ? "unavailable" : "bad_request", reason, offset};
}

/* Text that is not valid JSON may still contain the ref of its request. */
static void salvage_ref(struct bytes json, struct buffer *text, struct verb *verb) {
  struct decoder decoder = {text, json.len};
  struct json_value ref;
  if (json_salvage(json, BYTES("ref"), &ref)) (void)read_ref(&decoder, ref, verb);
}

struct bytes verb_find_ref(struct bytes json) {
  struct verb verb = {0};
  struct buffer text;
  buffer_init(&text);
  salvage_ref(json, &text, &verb);
  buffer_deinit(&text);
  return verb.ref.raw;
}

struct verb_fault verb_read(struct bytes json, struct buffer *text, struct verb *verb) {
  struct json_value object;
  struct json_fault json_fault;
  struct members members = {0};
  *verb = (struct verb){0};
  buffer_clear(text);
  if (!json_scan(json, &object, &json_fault)) {
    salvage_ref(json, text, verb);
    return verb_refuse(json_fault.reason, (int64_t)json_fault.offset);
  }
  if (object.type != JSON_OBJECT) return verb_refuse("a message must be a JSON object", -1);
  note_members(&members, object);

  /* A fault of ref is reported after the channel is read: the answer cannot have the ref, so it has
   * the channel. */
  bool has_bytes = members.base64.type != JSON_NONE;
  struct decoder decoder = {text, has_bytes ? 2 * object.raw.len : object.raw.len};
  const char *ref_fault = read_ref(&decoder, members.ref, verb);
  const char *fault = find_verb(&members, verb);
  if (!fault) fault = read_object_of_verb(&decoder, members.verbs[verb->type], verb);
  if (!fault) fault = ref_fault;
  if (!fault) fault = read_details(&decoder, &members, verb);
  return verb_refuse(fault, -1);
}

bool verb_split_binary(struct bytes frame, struct bytes *json, struct bytes *payload) {
  size_t feed = bytes_find(frame, '\n');
  if (feed == frame.len) return false;
  *json = bytes_of(frame.ptr, feed);
  *payload = bytes_of(frame.ptr + feed + 1, frame.len - feed - 1);
  return true;
}

struct verb_fault verb_read_binary(struct bytes frame, struct buffer *text, struct verb *verb) {
  struct bytes json, payload;
  *verb = (struct verb){0};
  if (!verb_split_binary(frame, &json, &payload)) {
    buffer_clear(text);
    salvage_ref(frame, text, verb);
    return verb_refuse("a binary message must have a newline after its JSON", -1);
  }
  struct verb_fault fault = verb_read(json, text, verb);
  if (fault.code) return fault;
  if (verb->type != VERB_SEND) return verb_refuse("a binary message must be a send", -1);
  if (verb->data.type != JSON_NONE || verb->is_binary)
    return verb_refuse("the data of a binary message must follow the newline, not be in its JSON", -1);
  verb->is_binary = true;
  verb->payload = payload;
  return fault;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Appends the opening brace and the ref. */
static void write_start(struct buffer *out, struct bytes ref) {
  buffer_append_char(out, '{');
  if (ref.len == 0) return;
  buffer_append(out, BYTES("\"ref\":"));
  buffer_append(out, ref);
  buffer_append_char(out, ',');
}

void verb_write_ok_start(struct buffer *out, struct bytes ref) {
  write_start(out, ref);
  buffer_append(out, BYTES("\"ok\":"));
}

/* Appends milliseconds as a number of seconds, such as 0.05 and 2. */
static void write_seconds(struct buffer *out, uint32_t ms) {
  char text[16];
  int len = snprintf(text, sizeof text, "%u.%03u", (unsigned)(ms / 1000), (unsigned)(ms % 1000));
  while (text[len - 1] == '0') len--;
  if (text[len - 1] == '.') len--;
  buffer_append(out, bytes_of(text, (size_t)len));
}

void verb_write_error(struct buffer *out, struct bytes ref, struct bytes channel, struct bytes code, struct bytes reason) {
  verb_write_error_later(out, ref, channel, code, reason, 0);
}

void verb_write_error_later(struct buffer *out, struct bytes ref, struct bytes channel, struct bytes code, struct bytes reason,
                            uint32_t retry_ms) {
  write_start(out, ref);
  if (ref.len == 0 && channel.len > 0) {
    buffer_append(out, BYTES("\"channel\":"));
    json_write_string(out, channel);
    buffer_append_char(out, ',');
  }
  buffer_append(out, BYTES("\"error\":{\"code\":"));
  json_write_string(out, code);
  buffer_append(out, BYTES(",\"reason\":"));
  json_write_string(out, reason);
  if (retry_ms > 0) {
    buffer_append_string(out, ",\"retry_after\":");
    write_seconds(out, retry_ms);
  }
  buffer_append(out, BYTES("}}"));
}

void verb_fault_text(const struct verb_fault *fault, char *out, size_t size) {
  if (fault->offset < 0) {
    (void)snprintf(out, size, "%s", fault->reason);
  } else {
    (void)snprintf(out, size, "invalid JSON at byte %lld: %s", (long long)fault->offset, fault->reason);
  }
}
