#include "script/stream.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "codec/sse.h"
#include "delivery/form.h"
#include "script/follow.h"
#include "script/question.h"

static void on_raw_stream_end(struct mw_stream *stream) {
  if (stream->closed) return;
  stream->closed = true;
  if (stream->on_close) stream->on_close(stream->context);
}

int mw_request_stream(struct mw_request *request, const struct mw_response *head, struct mw_stream **out,
                      void (*on_close)(void *context), void *context, struct mw_error *error) {
  struct script_job *job = request->job;
  struct blob *fields = NULL;
  int status = head ? question_keep_stream_head(head, &fields, error) : 0;
  if (status == MW_EINVAL) return status;
  if (!request->script || request->cancelled || atomic_load(&job->cancelled)) {
    blob_unref(fields);
    mw_request_refuse(request, 503, "unavailable", "the client has disconnected");
    return MW_ECLOSED;
  }
  struct mw_stream *stream = status == 0 ? memory_alloc(sizeof *stream) : NULL;
  if (!stream) {
    blob_unref(fields);
    mw_request_refuse(request, 503, "unavailable", "out of memory");
    return MW_ENOMEM;
  }
  *stream = (struct mw_stream){.app = request->script->app, .job = job_ref(job), .on_close = on_close, .context = context};
  job->stream = stream;
  job->on_stream_end = on_raw_stream_end;
  job->status = head ? head->status : 200;
  job->fields = fields;
  job->streams = true;
  *out = stream;
  question_answered(request);
  return 0;
}

/* ---- What it sends --------------------------------------------------------------------------- */

static bool breaks_line(struct bytes text) {
  return bytes_find(text, '\r') < text.len || bytes_find(text, '\n') < text.len || bytes_find(text, '\0') < text.len;
}

/* True for an id that a client can return as Last-Event-ID: fields have no control characters, lose
 * the white space around them, and each kind of client encodes bytes beyond ASCII differently. */
static bool can_return(struct bytes id, size_t head_max) {
  if (id.len > MW_STREAM_ID_MAX || id.len > head_max / 4) return false;
  for (size_t i = 0; i < id.len; i++) {
    bool is_end = i == 0 || i + 1 == id.len;
    if (id.ptr[i] > '~' || id.ptr[i] < ' ' || (is_end && id.ptr[i] == ' ')) return false;
  }
  return true;
}

int mw_stream_send(struct mw_stream *stream, const struct mw_stream_event *from) {
  struct sse_event event = {.id = bytes_of(from->id.ptr, from->id.len),
                            .event = bytes_of(from->event.ptr, from->event.len),
                            .data = bytes_of(from->data.ptr, from->data.len),
                            .retry_ms = from->retry_ms};
  if (!can_return(event.id, stream->job->config->options.limits.head) || breaks_line(event.event)) return MW_EINVAL;
  if (!utf8_valid(event.event) || !utf8_valid(event.data)) return MW_EINVAL;
  if (stream->closed || stream->ended) return MW_ECLOSED;
  struct buffer text;
  buffer_init(&text);
  sse_write(&text, &event);
  struct blob *blob = text.failed ? NULL : form_chunk(buffer_bytes(&text));
  buffer_deinit(&text);
  return blob ? raw_data_post(stream->app, stream->job, NULL, blob) : MW_ENOMEM;
}

void mw_stream_close(struct mw_stream *stream) {
  if (stream->closed || stream->ended) return;
  struct script_job *job = job_ref(stream->job);
  stream->ended = true;
  job->end = (struct raw_data){.mail = {.class = stream->app->workers->raw, .to = job->mail.to}, .job = job};
  stream->app->workers->post(stream->app, &job->end.mail);
}

void mw_stream_unref(struct mw_stream *stream) {
  if (!stream) return;
  mw_stream_close(stream);
  if (stream->follow) stream->follow->handle = NULL;
  stream->job->stream = NULL;
  job_unref(stream->job);
  memory_free(stream);
}
