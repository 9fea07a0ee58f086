/* A verb that is read consists of slices of the input or the text, is valid, and stays the same
 * when it is written and read again. Answers are JSON. */
#include "codec/envelope.h"
#include "codec/verb.h"
#include "fuzz/fuzz.h"
#include "test/support/jansson_peer.h"
#include "test/support/verb_answer.h"

static void check_inside(struct bytes part, struct bytes input, struct buffer *text) {
  if (!part.ptr || bytes_equal(part, BYTES("message"))) return;
  bool in_input = part.ptr >= input.ptr && part.ptr + part.len <= input.ptr + input.len;
  must(in_input || (part.ptr >= text->data && part.ptr + part.len <= text->data + text->len));
}

static void check_answer(struct buffer *out) {
  struct json_value value;
  must(json_scan(buffer_bytes(out), &value, NULL) && value.type == JSON_OBJECT);
  must(jansson_check(buffer_bytes(out)) != JANSSON_REFUSES);
  buffer_clear(out);
}

/* Writes the verb again. It must be read as the same. */
static void check_again(const struct verb *verb) {
  static const char *const names[VERB_COUNT] = {"subscribe", "unsubscribe", "send", "presence",
                                                "history",   "token",       "ping", "connect"};
  struct buffer out = {0}, text = {0};
  struct verb again;
  buffer_append_format(&out, "{\"%s\":", names[verb->type]);
  if (verb->type == VERB_PING) {
    buffer_append(&out, BYTES("true"));
  } else if (verb->type == VERB_CONNECT) {
    buffer_append_string(&out, verb->token.ptr ? "{\"token\":" : "{");
    if (verb->token.ptr) json_write_string(&out, verb->token);
    buffer_append_char(&out, '}');
  } else {
    json_write_string(&out, verb->type == VERB_TOKEN ? verb->token : verb->channel);
  }
  const struct {
    const char *name;
    struct bytes text;
  } texts[] = {{",\"event\":", verb->event}, {",\"since\":", verb->since}, {",\"before\":", verb->before}};
  for (size_t i = 0; i < 3; i++) {
    if (!texts[i].text.ptr) continue;
    buffer_append_string(&out, texts[i].name);
    json_write_string(&out, texts[i].text);
  }
  if (verb->limit > 0) buffer_append_format(&out, ",\"limit\":%u", (unsigned)verb->limit);
  buffer_append_char(&out, '}');
  must(!verb_read(buffer_bytes(&out), &text, &again).code);
  must(again.type == verb->type && again.limit == verb->limit && bytes_equal(again.channel, verb->channel));
  must(bytes_equal(again.event, verb->event) && bytes_equal(again.token, verb->token));
  must(bytes_equal(again.since, verb->since) && bytes_equal(again.before, verb->before));
  buffer_deinit(&out);
  buffer_deinit(&text);
}

static void check_verb(const struct verb *verb, struct bytes input, struct buffer *text) {
  must(!verb->channel.ptr || !channel_name_fault(verb->channel));
  must((verb->type < VERB_TOKEN) == (verb->channel.ptr != NULL) && (verb->type == VERB_SEND) == (verb->event.ptr != NULL));
  must(!verb->event.ptr || !event_name_fault(verb->event));
  check_inside(verb->channel, input, text);
  check_inside(verb->event, input, text);
  check_inside(verb->since, input, text);
  check_inside(verb->before, input, text);
  check_inside(verb->token, input, text);
  check_inside(verb->payload, input, text);
  check_inside(verb->data.raw, input, text);
  must(verb->is_binary == (verb->payload.ptr != NULL));
  check_again(verb);
}

static void check(struct bytes input, bool is_binary) {
  struct buffer text = {0}, out = {0};
  struct verb verb;
  struct verb_fault fault = is_binary ? verb_read_binary(input, &text, &verb) : verb_read(input, &text, &verb);
  must(fault.offset < 0 || (size_t)fault.offset <= input.len);
  check_inside(verb.ref.raw, input, &text);
  if (fault.code) {
    must(fault.reason);
    must(verb.channel.ptr == NULL || !channel_name_fault(verb.channel));
    write_fault(&out, &verb, &fault);
    check_answer(&out);
  } else {
    check_verb(&verb, input, &text);
    write_ok(&out, verb.ref.raw, bytes_of(NULL, 0));
    check_answer(&out);
    verb_write_error(&out, bytes_of(NULL, 0), verb.channel, BYTES("refused"), verb.event);
    check_answer(&out);
  }
  buffer_deinit(&text);
  buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check(fuzz_bytes(data, size), false);
  check(fuzz_bytes(data, size), true);
  return 0;
}
