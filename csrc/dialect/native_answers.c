/* Answers of the native protocol: {"ref":…,"ok":…} and {"ref":…,"error":…}. */
#include "base/utf8.h"
#include "dialect/native.h"
#include "dialect/native_forms.h"
#include "dialect/native_members.h"

void native_write_recovered(struct buffer *out, struct since since, size_t gap_count) {
  if (since.kind != SINCE_NONE) buffer_append_string(out, gap_count > 0 ? ",\"recovered\":false" : ",\"recovered\":true");
}

void native_write_expires(struct buffer *out, uint64_t expires_s) {
  if (expires_s > 0) buffer_append_format(out, ",\"expires\":%llu", (unsigned long long)expires_s);
}

/* Writes them as members of an object, which may already have others. */
static void write_told_members(struct rope *out, const struct told *told) {
  const char *before = out->text.data[out->text.len - 1] != '{' ? "," : "";
  if (told->channel->data) {
    buffer_append_format(&out->text, "%s\"data\":", before);
    json_write_compact(&out->text, blob_bytes(told->channel->data));
    before = ",";
  }
  if (told->channel->kind->presence == MW_PRESENCE_NONE) return;
  buffer_append_format(&out->text, "%s\"presence\":", before);
  native_members_share(out, told);
}

void native_write_told(struct rope *out, const struct told *told) {
  buffer_append_char(&out->text, '{');
  if (!out->text.failed) write_told_members(out, told);
  buffer_append_char(&out->text, '}');
}

/* Writes the answer to a subscribe. The query of a poll uses native_write_told instead. */
static void write_joined(struct rope *out, const struct outcome *outcome) {
  buffer_append_string(&out->text, "{\"id\":");
  json_write_string(&out->text, outcome->id);
  native_write_recovered(&out->text, outcome->since, outcome->gap_count);
  if (!out->text.failed) write_told_members(out, &outcome->told);
  buffer_append_char(&out->text, '}');
}

static void write_page(struct buffer *out, const struct history_page *page, const struct epoch *epoch) {
  buffer_append_string(out, "{\"messages\":[");
  for (uint32_t i = 0; i < page->count; i++) {
    const struct blob *blob = form_of(&native_poll, history_at(page->history, page->first + i), epoch);
    if (i > 0) buffer_append_char(out, ',');
    if (blob) buffer_append(out, blob_bytes(blob));
    if (!blob) out->failed = true;
  }
  buffer_append_string(out, page->more ? "],\"more\":true}" : "],\"more\":false}");
}

static void write_value(struct rope *out, const struct outcome *outcome) {
  struct buffer *text = &out->text;
  switch (outcome->type) {
    case OUTCOME_DONE: buffer_append_string(text, "true"); break;
    case OUTCOME_VALUE: buffer_append(text, outcome->value.len > 0 ? outcome->value : BYTES("true")); break;
    case OUTCOME_KEPT:
      buffer_append_string(text, "{\"id\":");
      json_write_string(text, outcome->id);
      buffer_append_char(text, '}');
      break;
    case OUTCOME_CONNECTED:
      buffer_append_string(text, "{\"client\":");
      json_write_string(text, outcome->client);
      buffer_append_format(text, ",\"ping\":%llu", (unsigned long long)(outcome->ping_ms / 1000));
      native_write_expires(text, outcome->expires_s);
      buffer_append_char(text, '}');
      break;
    case OUTCOME_JOINED: write_joined(out, outcome); break;
    case OUTCOME_MEMBERS: native_members_write_page(out, &outcome->told, &outcome->query); break;
    case OUTCOME_HISTORY: write_page(text, outcome->page, outcome->epoch); break;
  }
}

void native_ok(struct rope *out, struct bytes ref, const struct outcome *outcome) {
  verb_write_ok_start(&out->text, ref);
  if (!out->text.failed) write_value(out, outcome);
  buffer_append_char(&out->text, '}');
}

void native_write_poll_joined(struct rope *joined, struct bytes channel, const struct rope *ok) {
  if (rope_len(joined) > 0) buffer_append_char(&joined->text, ',');
  json_write_string(&joined->text, channel);
  buffer_append_char(&joined->text, ':');
  rope_append(joined, ok);
}

void native_write_poll(struct rope *out, const struct polled *polled) {
  struct buffer *text = &out->text;
  buffer_append_string(text, "{\"id\":");
  json_write_string(text, polled->id);
  if (polled->more) buffer_append_string(text, ",\"more\":true");
  native_write_recovered(text, polled->since, polled->gap_count);
  if (polled->client.len > 0) {
    buffer_append_string(text, ",\"client\":");
    json_write_string(text, polled->client);
  }
  if (rope_len(polled->joined) > 0) {
    buffer_append_string(text, ",\"channels\":{");
    rope_append(out, polled->joined);
    buffer_append_char(text, '}');
  }
  buffer_append_string(text, ",\"gaps\":[");
  for (size_t i = 0; i < polled->gap_count; i++) {
    if (i > 0) buffer_append_char(text, ',');
    json_write_string(text, polled->gaps[i]);
  }
  buffer_append_string(text, "],\"messages\":[");
}

/* A reason may come from a script, and be cut at any byte. */
static struct bytes clean(const char *text) {
  struct bytes bytes = bytes_string(text);
  return bytes_of(bytes.ptr, utf8_valid_prefix(bytes));
}

void native_error(struct rope *out, struct bytes ref, const struct refusal *refusal) {
  struct bytes code = clean(refusal->code), reason = clean(refusal->reason);
  verb_write_error_later(&out->text, ref, refusal->channel, code, reason, refusal->retry_ms);
}
