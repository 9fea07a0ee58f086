#include "server/stream_handle.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "http/exchange.h"
#include "server/server.h"

struct mw_stream {
  struct mw_server *server;
  struct script_job *job; /* a reference */
  bool closed;            /* it is over, and on_close was told */
  bool ended;             /* the app has ended it */
  void (*on_close)(void *context);
  void *context;
};

static void on_end(struct mw_stream *stream) {
  if (stream->closed) return;
  stream->closed = true;
  if (stream->on_close) stream->on_close(stream->context);
}

int mw_request_stream(struct mw_request *request, struct mw_stream **out, void (*on_close)(void *context), void *context) {
  struct script_job *job = request->job;
  if (!request->server || request->cancelled || atomic_load(&job->cancelled)) {
    mw_request_refuse(request, 503, "unavailable", "the client has gone");
    return MW_ECLOSED;
  }
  struct mw_stream *stream = memory_alloc(sizeof *stream);
  if (!stream) {
    mw_request_refuse(request, 503, "unavailable", "no memory");
    return MW_ENOMEM;
  }
  *stream = (struct mw_stream){.server = request->server, .job = job_ref(job), .on_close = on_close, .context = context};
  job->stream = stream;
  job->on_stream_end = on_end;
  job->status = 200;
  *out = stream;
  script_answered(request);
  return 0;
}

/* ---- What it sends -------------------------------------------------------------------------------------------------------- */

static void drop_data(struct mail *mail) {
  struct stream_data *data = container_of(mail, struct stream_data, mail);
  blob_unref(data->blob);
  job_unref(data->job);
  memory_free(data);
}

static void drop_end(struct mail *mail) { job_unref(container_of(mail, struct script_job, end)); }

static void take(struct mail *mail, void *room, struct subscriber *subscriber) {
  (void)room;
  struct exchange *exchange = exchange_of(subscriber);
  if (exchange && exchange->role) exchange->role->on_mail(exchange, mail);
  mail->class->drop(mail);
}

const struct mail_class stream_data_class = {.take = take, .drop = drop_data};
const struct mail_class stream_end_class = {.take = take, .drop = drop_end};

static int post_mail(struct mw_stream *stream, struct mail *mail) {
  return mailbox_post(&stream->server->workers[mail->to.worker].fifo, mail);
}

/* Takes the blob. */
static int post(struct mw_stream *stream, struct blob *blob) {
  struct stream_data *data = memory_alloc(sizeof *data);
  if (!data) {
    blob_unref(blob);
    return MW_ENOMEM;
  }
  struct script_job *job = stream->job;
  *data = (struct stream_data){
      .mail = {.class = &stream_data_class, .to = job->mail.to, .size = mail_size(blob->len)}, .job = job_ref(job), .blob = blob};
  int status = post_mail(stream, &data->mail);
  if (status < 0) drop_data(&data->mail);
  return status;
}

static bool breaks_line(struct bytes text) {
  return bytes_find(text, '\r') < text.len || bytes_find(text, '\n') < text.len || bytes_find(text, '\0') < text.len;
}

/* What a client can give back as Last-Event-ID: fields have no control characters, lose the white space around them, and of what is beyond
 * ASCII each kind of client makes something else. */
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
  return blob ? post(stream, blob) : MW_ENOMEM;
}

void mw_stream_close(struct mw_stream *stream) {
  if (stream->closed || stream->ended) return;
  struct script_job *job = job_ref(stream->job);
  stream->ended = true;
  job->end = (struct mail){.class = &stream_end_class, .to = job->mail.to};
  post_mail(stream, &job->end);
}

void mw_stream_unref(struct mw_stream *stream) {
  if (!stream) return;
  mw_stream_close(stream);
  stream->job->stream = NULL;
  job_unref(stream->job);
  memory_free(stream);
}
