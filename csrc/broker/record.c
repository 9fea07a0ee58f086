#include "broker/record.h"

#include "app/client.h"
#include "base/utf8.h"
#include "codec/envelope.h"
#include "codec/json_scan.h"

enum { KEY_MAX = 255 };

void record_write(struct buffer *out, const struct message_parts *parts) {
  const struct bytes texts[] = {parts->event, parts->from, parts->except, parts->key, parts->data};
  size_t len = 0;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) len += texts[i].len;
  /* 128: the first line at its longest */
  if (!buffer_reserve(out, 128 + len)) return;
  const char *flags = parts->is_binary ? (parts->is_final ? "bf" : "b") : (parts->is_final ? "f" : "-");
  buffer_append_format(out, "1 %s %zu %zu %zu %zu\n", flags, texts[0].len, texts[1].len, texts[2].len, texts[3].len);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) buffer_append(out, texts[i]);
}

/* Takes a length, which sets text->len. */
static bool take_len(struct bytes *rest, char c, struct bytes *text) {
  struct bytes word;
  uint64_t len;
  if (!bytes_take_until(rest, c, &word) || !bytes_to_u64(word, &len)) return false;
  if (len > rest->len || (word.len > 1 && word.ptr[0] == '0')) return false;
  text->len = (size_t)len;
  return true;
}

static bool take_flags(struct bytes *rest, struct message_parts *parts) {
  struct bytes flags;
  if (!bytes_take_until(rest, ' ', &flags)) return false;
  if (bytes_equal(flags, BYTES("-"))) return true;
  parts->is_binary = bytes_starts_with(flags, BYTES("b"));
  parts->is_final = parts->is_binary ? bytes_equal(flags, BYTES("bf")) : bytes_equal(flags, BYTES("f"));
  return parts->is_final || bytes_equal(flags, BYTES("b"));
}

/* Takes the texts, whose lengths are known, one after the other. */
static bool take_texts(struct bytes rest, struct message_parts *parts) {
  struct bytes *const texts[] = {&parts->event, &parts->from, &parts->except, &parts->key};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    if (texts[i]->len > rest.len) return false;
    texts[i]->ptr = rest.ptr;
    rest = bytes_of(rest.ptr + texts[i]->len, rest.len - texts[i]->len);
  }
  parts->data = rest;
  return true;
}

static const char *parts_fault(const struct message_parts *parts, bool is_volatile, size_t data_max) {
  struct json_value value;
  if (channel_name_fault(parts->channel)) return channel_name_fault(parts->channel);
  if (event_name_fault(parts->event)) return event_name_fault(parts->event);
  if (!utf8_valid(parts->from)) return "the user id is not UTF-8";
  if (parts->except.len > 0 && parts->except.len != CLIENT_ID_LEN) return "the client that is excepted has an invalid id";
  if (parts->key.len > KEY_MAX) return "the key is longer than 255 bytes";
  if (parts->is_final && is_volatile) return "a final message cannot be volatile";
  if (parts->data.len > data_max) return "the data is larger than limits.message_size";
  if (!parts->is_binary && !json_scan(parts->data, &value, NULL)) return "the data is not valid JSON";
  return NULL;
}

const char *record_read(struct bytes channel, const struct broker_message *message, size_t data_max,
                        struct message_parts *parts) {
  struct bytes rest = message->record, version;
  uint64_t number;
  *parts = (struct message_parts){.channel = channel};
  if (!bytes_take_until(&rest, ' ', &version) || !bytes_to_u64(version, &number))
    return "it does not begin with the version of a record";
  if (number > 1) return "the version of the record is higher than 1: a newer moonwire has written it";
  if (!bytes_equal(version, BYTES("1"))) return "the version of the record is not 1";
  if (!take_flags(&rest, parts)) return "the flags must be -, b, f, or bf";
  bool is_whole = take_len(&rest, ' ', &parts->event) && take_len(&rest, ' ', &parts->from) &&
                  take_len(&rest, ' ', &parts->except) && take_len(&rest, '\n', &parts->key) && take_texts(rest, parts);
  if (!is_whole) return "the first line must end with four lengths, and as many bytes must follow";
  return parts_fault(parts, message->position == 0, data_max);
}
