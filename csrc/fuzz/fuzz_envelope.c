/* json_scan accepts what jansson accepts. Accepted text can be walked, decoded, and written with
 * the same meaning. */
#include "base/utf8.h"
#include "codec/envelope.h"
#include "fuzz/fuzz.h"
#include "test/support/jansson_peer.h"

static void check_inside(struct json_value outer, struct json_value inner) {
  must(inner.type != JSON_NONE && inner.raw.len > 0);
  must(inner.raw.ptr > outer.raw.ptr && inner.raw.ptr + inner.raw.len < outer.raw.ptr + outer.raw.len);
}

static void check_string(struct json_value string) {
  struct buffer text = {0}, again = {0}, text_again = {0};
  struct json_value value;
  json_string_decode(string, &text);
  must(text.len <= string.raw.len && json_string_equal(string, buffer_bytes(&text)));
  json_write_string(&again, buffer_bytes(&text));
  must(json_scan(buffer_bytes(&again), &value, NULL) && value.type == JSON_STRING);
  json_string_decode(value, &text_again);
  must(bytes_equal(buffer_bytes(&text), buffer_bytes(&text_again)));
  buffer_deinit(&text);
  buffer_deinit(&again);
  buffer_deinit(&text_again);
}

static void check_value(struct json_value value) {
  struct bytes rest = value.raw;
  struct json_value name, inner;
  if (value.type == JSON_STRING) check_string(value);
  while (value.type == JSON_OBJECT && json_next_member(&rest, &name, &inner)) {
    check_inside(value, name);
    check_inside(value, inner);
    check_string(name);
    check_value(inner);
  }
  while (value.type == JSON_ARRAY && json_next_item(&rest, &inner)) {
    check_inside(value, inner);
    check_value(inner);
  }
}

static void check_compact(struct json_value value, enum jansson_opinion opinion) {
  struct buffer out = {0};
  struct json_value again;
  json_write_compact(&out, value.raw);
  must(out.len <= value.raw.len && json_scan(buffer_bytes(&out), &again, NULL) && again.type == value.type);
  must(bytes_find(buffer_bytes(&out), '\n') == out.len && bytes_find(buffer_bytes(&out), '\r') == out.len);
  must(opinion == JANSSON_OVERFLOWS || jansson_same(value.raw, buffer_bytes(&out)));
  buffer_deinit(&out);
}

static void check_publish(struct json_value value) {
  struct envelope_publish publish;
  struct buffer channel = {0}, event = {0}, out = {0};
  struct json_value pushed;
  char fault[ENVELOPE_FAULT_MAX];
  if (envelope_read_publish(value, &publish, fault)) {
    json_string_decode(publish.channel, &channel);
    if (publish.event.type == JSON_STRING) json_string_decode(publish.event, &event);
    struct envelope_push push = {
        .channel = buffer_bytes(&channel), .event = buffer_bytes(&event), .id = BYTES("1-1"), .data = publish.data.raw};
    (void)event_name_fault(push.event);
    if (!channel_name_fault(push.channel)) {
      envelope_write_push(&out, &push);
      /* with the envelope, data can be one level too deep */
      must(json_scan(buffer_bytes(&out), &pushed, NULL) || publish.data.raw.ptr);
    }
  } else {
    must(strlen(fault) > 0 && utf8_valid_prefix(bytes_string(fault)) == strlen(fault));
  }
  buffer_deinit(&channel);
  buffer_deinit(&event);
  buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes text = fuzz_bytes(data, size);
  struct json_value value;
  struct json_fault fault;
  enum jansson_opinion opinion = jansson_check(text);
  if (!json_scan(text, &value, &fault)) {
    must(fault.offset <= size && fault.reason);
    must(opinion != JANSSON_ACCEPTS || bytes_equal(bytes_string(fault.reason), BYTES("nested too deeply; at most 64 levels")));
    return 0;
  }
  must(opinion != JANSSON_REFUSES);
  check_value(value);
  check_compact(value, opinion);
  check_publish(value);
  return 0;
}
