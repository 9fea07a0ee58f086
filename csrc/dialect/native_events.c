/* The server's own events in the native protocol ("moonwire:gap"), and the beginnings of event
 * streams. */
#include "base/utf8.h"
#include "codec/sse.h"
#include "dialect/native.h"
#include "dialect/native_forms.h"
#include "dialect/native_members.h"

/* A code or a reason may come from a script, and be cut at any byte. */
static void write_clean(struct buffer *out, const char *text) {
  struct bytes bytes = bytes_string(text ? text : "");
  json_write_string(out, bytes_of(bytes.ptr, utf8_valid_prefix(bytes)));
}

static void write_channel(struct buffer *out, const struct event *event) {
  buffer_append_string(out, "{\"channel\":");
  json_write_string(out, event->channel);
  if (event->type == EVENT_UNSUBSCRIBED) {
    buffer_append_string(out, ",\"code\":");
    write_clean(out, event->code);
    buffer_append_string(out, ",\"reason\":");
    write_clean(out, event->reason);
  }
  buffer_append_char(out, '}');
}

/* Writes an id without a message. */
static void write_cursor(const struct dialect *dialect, struct rope *out, struct bytes id) {
  buffer_append(&out->text, dialect->form == &native_envelope ? dialect->ping : BYTES("\n"));
  if (!out->text.failed) sse_add_id(&out->text, id);
}

void native_event(const struct dialect *dialect, struct rope *out, const struct event *event) {
  static const char *const names[] = {[EVENT_GAP] = "moonwire:gap",
                                      [EVENT_END] = "moonwire:end",
                                      [EVENT_EXPIRING] = "moonwire:expiring",
                                      [EVENT_PRESENCE] = "moonwire:presence",
                                      [EVENT_UNSUBSCRIBED] = "moonwire:unsubscribed"};
  struct rope data;
  struct bytes channel = bytes_of(NULL, 0); /* part of the data, except with presence */
  if (event->type == EVENT_CURSOR) {
    write_cursor(dialect, out, event->id);
    return;
  }
  rope_init(&data);
  if (event->type == EVENT_PRESENCE) {
    channel = event->channel;
    native_members_share(&data, &event->told);
  } else if (event->type == EVENT_EXPIRING) {
    buffer_append_format(&data.text, "{\"expires\":%llu}", (unsigned long long)event->expires_s);
  } else {
    write_channel(&data.text, event);
  }
  if (data.text.failed) {
    out->text.failed = true;
  } else {
    native_write_rope(out, dialect->form, channel, bytes_string(names[event->type]), &data);
    if (event->id.len > 0 && dialect->form->carries_cursor && !out->text.failed) sse_add_id(&out->text, event->id);
  }
  rope_deinit(&data);
}

/* ---- Event streams -------------------------------------------------------------------------------------------------------- */

/* Writes the snapshots of a stream without envelopes, as moonwire:presence events. */
static void write_presences(const struct dialect *dialect, struct rope *out, struct opening *opening) {
  for (size_t i = 0; i < opening->job->channel_count; i++) {
    const struct job_channel *channel = &opening->job->channels[i];
    if (channel->kind->presence == MW_PRESENCE_NONE) continue;
    struct told told = {.hub = opening->hub, .channel = channel, .room = &opening->room};
    native_event(dialect, out, &(struct event){.type = EVENT_PRESENCE, .told = told});
  }
}

static void write_open(struct rope *out, struct opening *opening) {
  const struct script_job *job = opening->job;
  struct rope rope;
  rope_init(&rope);
  struct buffer *data = &rope.text;
  buffer_append_string(data, "{\"client\":");
  json_write_string(data, bytes_of(job->client->id, CLIENT_ID_LEN));
  buffer_append_string(data, ",\"id\":");
  json_write_string(data, opening->id);
  native_write_recovered(data, job->since, opening->replay->gap_count);
  native_write_expires(data, opening->expires_s);
  buffer_append_string(data, ",\"channels\":{");
  for (size_t i = 0; i < job->channel_count; i++) {
    if (i > 0) buffer_append_char(data, ',');
    json_write_string(data, job->channels[i].name);
    buffer_append_char(data, ':');
    native_write_told(&rope, &(struct told){.hub = opening->hub, .channel = &job->channels[i], .room = &opening->room});
  }
  buffer_append_string(data, "}}");
  if (data->failed) {
    out->text.failed = true;
  } else {
    native_write_rope(out, &native_envelope, bytes_of(NULL, 0), BYTES("moonwire:open"), &rope);
  }
  rope_deinit(&rope);
}

/* Writes when to reconnect, the cursor, and the gaps. Without the cursor, a client that is
 * disconnected before its first event would reconnect as a new one. With envelopes, both are in the
 * event moonwire:open, because some libraries pass events without data to the application. If there
 * are gaps, the last one has the cursor: a client that is disconnected before it reconnects with
 * the old id, and receives the gaps again. */
void native_open(const struct dialect *dialect, struct rope *out, struct opening *opening) {
  const struct replay *replay = opening->replay;
  bool gap = replay->gap_count > 0;
  sse_write_retry(&out->text, opening->retry_ms);
  if (dialect->form == &native_envelope) {
    write_open(out, opening);
    if (!gap && !out->text.failed) sse_add_id(&out->text, opening->id);
  } else {
    if (!gap) sse_write(&out->text, &(struct sse_event){.id = opening->id, .retry_ms = -1});
    write_presences(dialect, out, opening);
  }
  for (size_t i = 0; i < replay->count; i++) {
    if (!replay->sources[i].gap) continue;
    native_event(dialect, out, &(struct event){.type = EVENT_GAP, .channel = replay->sources[i].subscription->channel->name});
  }
  if (gap && !out->text.failed) sse_add_id(&out->text, opening->id);
}
