#include "app/socket.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "delivery/form.h"
#include "script/client_calls.h"
#include "script/question.h"
#include "script/script.h"

/* ---- Life ------------------------------------------------------------------------------------ */

int mw_request_websocket(struct mw_request *request, struct mw_socket **out) {
  struct script_job *job = request->job;
  if (!request->script || request->cancelled || atomic_load(&job->cancelled)) {
    mw_request_refuse(request, 503, "unavailable", "the client has disconnected");
    return MW_ECLOSED;
  }
  struct mw_socket *socket = memory_calloc(1, sizeof *socket);
  if (!socket) {
    mw_request_refuse(request, 503, "unavailable", "out of memory");
    return MW_ENOMEM;
  }
  atomic_init(&socket->refs, 2);
  atomic_init(&socket->under_way, 0);
  atomic_init(&socket->unwritten, 0);
  socket->app = request->script->app;
  socket->config = config_ref(job->config);
  socket->client = mw_client_ref(job->client);
  socket->websocket = config_route_at(job->config, job->route)->websocket;
  socket->route = job->route;
  socket->protocol = job->protocol;
  socket->code = WS_CLOSE_ABNORMAL;
  job->socket = socket;
  *out = socket;
  question_answered(request);
  return 0;
}

struct mw_client *mw_socket_client(const struct mw_socket *socket) {
  return socket->client;
}
void *mw_socket_context(const struct mw_socket *socket) { return socket->context; }
void mw_socket_set_context(struct mw_socket *socket, void *context) { socket->context = context; }

size_t mw_socket_buffered(const struct mw_socket *socket) {
  bool is_gone = atomic_load(&socket->client->gone);
  return is_gone ? 0 : atomic_load(&socket->under_way) + atomic_load(&socket->unwritten);
}

/* ---- What it sends --------------------------------------------------------------------------- */

static bool has_ended(const struct mw_socket *socket) { return socket->closing || atomic_load(&socket->client->gone); }

static int post_frame(struct mw_socket *socket, enum ws_opcode opcode, struct bytes payload) {
  struct blob *blob = form_frame(opcode, payload, bytes_of(NULL, 0));
  return blob ? raw_data_post(socket->app, NULL, socket, blob) : MW_ENOMEM;
}

int mw_socket_send(struct mw_socket *socket, const char *data, size_t data_len, bool is_binary) {
  struct bytes payload = bytes_of(data, data_len);
  if (has_ended(socket)) return MW_ECLOSED;
  if (data_len > UINT32_MAX - WS_HEADER_MAX - 1) return MW_ETOOLARGE;
  if (!is_binary && !utf8_valid(payload)) return MW_EINVAL;
  return post_frame(socket, is_binary ? WS_OPCODE_BINARY : WS_OPCODE_TEXT, payload);
}

int mw_socket_ping(struct mw_socket *socket, const char *data, size_t data_len) {
  if (has_ended(socket)) return MW_ECLOSED;
  if (data_len > WS_CONTROL_MAX) return MW_EINVAL;
  return post_frame(socket, WS_OPCODE_PING, bytes_of(data, data_len));
}

int mw_socket_close(struct mw_socket *socket, int code, const char *reason) {
  if (!ws_close_code_valid((unsigned)code)) return MW_EINVAL;
  if (has_ended(socket)) return MW_ECLOSED;
  int status = client_call_close(socket->app, socket->client, code, reason);
  socket->closing = status == 0;
  return status;
}

int mw_socket_subscribe(struct mw_socket *socket, const char *channel, size_t channel_len) {
  if (socket->closing || atomic_load(&socket->client->gone)) return MW_ECLOSED;
  return client_call_subscribe(socket->app, socket->client, bytes_of(channel, channel_len));
}

int mw_socket_unsubscribe(struct mw_socket *socket, const char *channel, size_t channel_len) {
  if (socket->closing || atomic_load(&socket->client->gone)) return MW_ECLOSED;
  return client_call_unsubscribe(socket->app, socket->client, bytes_of(channel, channel_len), "", "");
}

/* ---- What requests say of it ----------------------------------------------------------------- */

struct mw_socket *mw_request_socket(const struct mw_request *request) {
  if (request->leaving) return request->leaving->socket;
  return request->type == MW_REQUEST_SOCKET_MESSAGE ? request->job->socket : NULL;
}

struct mw_bytes mw_request_protocol(const struct mw_request *request) {
  struct bytes protocol = bytes_of(NULL, 0);
  if (request->type == MW_REQUEST_WEBSOCKET) protocol = request->job->protocol;
  if (mw_request_socket(request)) protocol = mw_request_socket(request)->protocol;
  return (struct mw_bytes){protocol.ptr, protocol.len};
}

int mw_request_close_code(const struct mw_request *request) {
  if (request->type == MW_REQUEST_DISCONNECT) return request->leaving->memberships->close_code;
  return request->type == MW_REQUEST_SOCKET_CLOSE ? (int)request->leaving->socket->code : 0;
}
