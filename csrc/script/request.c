/* The app's view of its requests, and its answers (moonwire.h, "Requests to the app"). */
#include <stdio.h>

#include "app/socket.h"
#include "base/error.h"
#include "base/log.h"
#include "codec/http/http_fields.h"
#include "codec/json_scan.h"
#include "script/identify.h"
#include "script/open_channel.h"
#include "script/question.h"
#include "script/script.h"

static struct mw_bytes expose_request_bytes(struct bytes bytes) { return (struct mw_bytes){bytes.ptr, bytes.len}; }

/* Returns the channel of its job that a request is about, or NULL if it is about none, or about an
 * open_channel. */
static const struct job_channel *channel_of(const struct mw_request *request) {
  bool has = request->type == MW_REQUEST_AUTHORIZE || request->type == MW_REQUEST_JOIN || request->type == MW_REQUEST_MESSAGE ||
             request->type == MW_REQUEST_SLOW || request->type == MW_REQUEST_PRESENCE;
  return has ? &request->job->channels[request->job->at] : NULL;
}

/* Returns the membership that it is about, or NULL. */
static const struct membership *membership_of(const struct mw_request *request) {
  bool has = request->type == MW_REQUEST_LEAVE || request->type == MW_REQUEST_DISCONNECT;
  return has ? request->leaving->memberships : NULL;
}

/* True for requests that take an HTTP response. */
static bool is_http(const struct mw_request *request) {
  return request->type == MW_REQUEST_HTTP || request->type == MW_REQUEST_STREAM || request->type == MW_REQUEST_WEBSOCKET;
}

enum mw_request_type mw_request_type(const struct mw_request *request) { return request->type; }
bool mw_request_cancelled(const struct mw_request *request) { return request->cancelled || !request->script; }
void *mw_request_context(const struct mw_request *request) { return request->context; }
void mw_request_set_context(struct mw_request *request, void *context) { request->context = context; }

struct mw_client *mw_request_client(const struct mw_request *request) {
  if (request->leaving) return request->leaving->task.client;
  bool has = request->type == MW_REQUEST_CONNECT || request->type >= MW_REQUEST_WEBSOCKET || channel_of(request);
  return has ? request->job->client : NULL;
}

struct mw_bytes mw_request_channel(const struct mw_request *request) {
  if (request->open_channel) return expose_request_bytes(request->open_channel->name);
  if (membership_of(request)) return expose_request_bytes(membership_name(membership_of(request)));
  const struct job_channel *channel = channel_of(request);
  return channel ? expose_request_bytes(channel->name) : expose_request_bytes(bytes_of(NULL, 0));
}

int mw_request_kind(const struct mw_request *request) {
  const struct membership *membership = membership_of(request);
  if (request->open_channel) return (int)request->open_channel->kind->policy.kind;
  if (membership) return membership->kind ? (int)membership->kind->policy.kind : -1;
  if (mw_request_socket(request)) return mw_request_socket(request)->route;
  const struct job_channel *channel = channel_of(request);
  return channel ? (int)channel->kind->policy.kind : request->job->route;
}

const struct mw_http *mw_request_http(const struct mw_request *request) {
  bool has_http = request->type == MW_REQUEST_AUTHENTICATE || is_http(request);
  return has_http && request->job->http ? &request->job->http->http : NULL;
}

const struct mw_message *mw_request_message(const struct mw_request *request) {
  bool has = request->type == MW_REQUEST_MESSAGE || request->type == MW_REQUEST_SOCKET_MESSAGE;
  return has ? &request->job->message : NULL;
}

void mw_request_drop_message(struct mw_request *request) {
  if (!mw_request_message(request)) return;
  request->job->message = (struct mw_message){.is_binary = request->job->message.is_binary};
  buffer_deinit(&request->job->input);
}

struct mw_bytes mw_request_reason(const struct mw_request *request) {
  const struct mw_socket *socket = request->type == MW_REQUEST_SOCKET_CLOSE ? request->leaving->socket : NULL;
  if (socket) return expose_request_bytes(bytes_of(socket->reason, socket->reason_len));
  return expose_request_bytes(bytes_string(request->type == MW_REQUEST_DISCONNECT ? request->leaving->reason : ""));
}

static void refuse_question(struct mw_request *request, int status, const char *code, const char *reason) {
  if (request->open_channel) {
    struct open_channel *open_channel = request->open_channel;
    open_channel->refused = true;
    open_channel->status = status;
    snprintf(open_channel->code, sizeof open_channel->code, "%s", code);
    snprintf(open_channel->reason, sizeof open_channel->reason, "%s", reason);
  } else if (request->job) {
    job_refuse(request->job, status, code, reason);
  }
  question_answered(request);
}

/* Without an answer the client is refused, and may retry. The outcome of a message, or of a route,
 * is unknown. */
static int fault_status(const struct mw_request *request) {
  switch (request->type) {
    case MW_REQUEST_HTTP:
    case MW_REQUEST_MESSAGE:
    case MW_REQUEST_SOCKET_MESSAGE: return 500;
    default: return 503;
  }
}

void mw_request_fail(struct mw_request *request) {
  refuse_question(request, fault_status(request), "internal", "internal error");
}

void mw_request_refuse(struct mw_request *request, int status, const char *code, const char *reason) {
  if (status < 400 || status > 599) {
    mw_request_fail(request);
  } else {
    refuse_question(request, status, code ? code : "internal", reason ? reason : "");
  }
}

/* The app's info of a member is kept and sent as long as the member is present, so it is compact,
 * and bounded. */
static int take_info(struct mw_request *request, struct bytes json) {
  struct job_channel *channel = &request->job->channels[request->job->at];
  struct buffer text;
  buffer_init(&text);
  if (json.len > 0) json_write_compact(&text, json);
  bool fits = text.len <= request->job->config->options.limits.message_size;
  struct blob *info = text.len > 0 && fits && !text.failed ? blob_new(buffer_bytes(&text)) : NULL;
  bool no_memory = text.failed || (text.len > 0 && fits && !info);
  buffer_deinit(&text);
  if (no_memory) {
    refuse_question(request, 503, "unavailable", "out of memory");
    return MW_ENOMEM;
  }
  if (!fits) {
    mw_request_fail(request);
    return MW_ETOOLARGE;
  }
  blob_unref(channel->info);
  channel->info = info;
  channel->informed = true;
  question_answered(request);
  return 0;
}

int mw_request_accept(struct mw_request *request, const char *data, size_t data_len) {
  struct bytes json = bytes_of(data, data_len);
  struct json_value value;
  bool keeps_data =
      request->type == MW_REQUEST_AUTHENTICATE || request->type == MW_REQUEST_JOIN || request->type == MW_REQUEST_MESSAGE;
  struct blob *blob = NULL;
  if (data_len > 0 && !json_scan(json, &value, NULL)) {
    mw_request_fail(request);
    return MW_EINVAL;
  }
  if (is_http(request)) {
    mw_request_fail(request);
    return MW_EINVAL;
  }
  if (request->type == MW_REQUEST_PRESENCE) return take_info(request, json);
  if (data_len > 0 && keeps_data && !(blob = blob_new(json))) {
    refuse_question(request, 503, "unavailable", "out of memory");
    return MW_ENOMEM;
  }
  if (request->type == MW_REQUEST_AUTHENTICATE) {
    int status = identify_as(request->job, blob);
    if (status < 0) question_answered(request);
    if (status < 0) return status == MW_ENOMEM ? status : 0;
  } else if (request->type == MW_REQUEST_JOIN) {
    request->job->channels[request->job->at].data = blob;
  } else if (request->type == MW_REQUEST_MESSAGE) {
    request->job->body = blob;
  }
  question_answered(request);
  return 0;
}

static bool add_fields(struct http_fields *out, const struct mw_response *response, struct mw_error *error) {
  bool fine = response->content_type.len == 0 ||
              http_fields_add(out, BYTES("Content-Type"), bytes_of(response->content_type.ptr, response->content_type.len));
  if (!fine) error_set(error, MW_EINVAL, "invalid content type");
  for (size_t i = 0; fine && i < response->field_count; i++) {
    struct bytes name = bytes_of(response->fields[i].name.ptr, response->fields[i].name.len);
    struct bytes value = bytes_of(response->fields[i].value.ptr, response->fields[i].value.len);
    bool reserved = http_field_is_reserved(name);
    fine = !reserved && http_fields_add(out, name, value);
    if (!fine) {
      error_set(error, MW_EINVAL, "the header \"%.*s\" %s", (int)(name.len < 64 ? name.len : 64), name.ptr,
                reserved ? "is set by the server itself" : "is malformed");
    }
  }
  return fine;
}

/* What is wrong with the head of a stream besides its fields, or NULL. */
static const char *stream_head_fault(const struct mw_response *head) {
  bool has_body = head->status >= 200 && head->status <= 599 && head->status != 204 && head->status != 205 && head->status != 304;
  if (!has_body) return "the status of a stream must be from 200 to 599, and not 204, 205, or 304";
  if (head->content_type.len > 0) return "the header \"Content-Type\" of a stream is set by the server itself";
  for (size_t i = 0; i < head->field_count; i++) {
    struct bytes name = bytes_of(head->fields[i].name.ptr, head->fields[i].name.len);
    if (bytes_equal_nocase(name, BYTES("content-type"))) {
      return "the header \"Content-Type\" of a stream is set by the server itself";
    }
  }
  return head->body.len > 0 ? "the head of a stream must not have a body" : NULL;
}

int question_keep_stream_head(const struct mw_response *head, struct blob **out, struct mw_error *error) {
  const char *fault = stream_head_fault(head);
  struct http_fields fields;
  http_fields_init(&fields);
  int status = MW_EINVAL;
  if (fault) {
    error_set(error, status, "%s", fault);
  } else if (add_fields(&fields, head, error)) {
    *out = http_fields_keep(&fields);
    status = *out ? 0 : MW_ENOMEM;
  }
  http_fields_deinit(&fields);
  return status;
}

int mw_request_respond(struct mw_request *request, const struct mw_response *response, struct mw_error *error) {
  struct http_fields fields;
  http_fields_init(&fields);
  int status = MW_EINVAL;
  bool responds = is_http(request);
  if (!responds || response->status < 200 || response->status > 599) {
    error_set(error, status, responds ? "the status must be from 200 to 599" : "only the request of a route takes a response");
  } else if (add_fields(&fields, response, error)) {
    struct script_job *job = request->job;
    job->fields = http_fields_keep(&fields);
    job->body = job->fields ? blob_new(bytes_of(response->body.ptr ? response->body.ptr : "", response->body.len)) : NULL;
    job->status = response->status;
    status = job->body ? 0 : MW_ENOMEM;
    if (status < 0) error_set(error, status, "out of memory");
  }
  http_fields_deinit(&fields);
  if (status < 0) {
    blob_unref(request->job ? request->job->fields : NULL);
    if (request->job) request->job->fields = NULL;
    bool no_memory = status == MW_ENOMEM;
    if (no_memory) {
      refuse_question(request, 503, "unavailable", "out of memory");
    } else {
      mw_request_fail(request);
    }
  } else {
    question_answered(request);
  }
  return status;
}
