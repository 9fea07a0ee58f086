#include "codec/ws/ws_handshake.h"
#include "delivery/delivery.h"
#include "dialect/dialect.h"
#include "http/cors.h"
#include "http/request.h"
#include "transport/websocket/deflate.h"
#include "transport/websocket/websocket.h"

bool websocket_refuse(struct exchange *exchange, const struct http_head *head, bool origin_allowed) {
  struct bytes key;
  struct http_error error = ws_handshake_check(head, &key);
  if (!origin_allowed) {
    exchange_refuse(exchange, 403, "forbidden", cors_refusal, bytes_of(NULL, 0));
  } else if (error.status != 0) {
    const struct http_field *own;
    size_t count = ws_handshake_fields(error.status, &own);
    struct http_fields fields;
    http_fields_init(&fields);
    for (size_t i = 0; i < count; i++) http_fields_add(&fields, own[i].name, own[i].value);
    exchange_refuse_with(exchange, error.status, exchange_code(error.status), error.reason, &fields);
    http_fields_deinit(&fields);
  } else {
    return false;
  }
  return true;
}

bool websocket_upgrade(struct exchange *exchange, const struct dialect *dialect, struct bytes protocol) {
  struct app *app = exchange_app(exchange);
  const struct request *request = exchange_request(exchange);
  const struct http_head *head = request->head;
  static const struct mw_deflate_options off = {.is_off = true};
  char text[WS_EXTENSION_MAX];
  struct ws_deflate_terms terms;
  const struct mw_deflate_options *deflate = request->route ? &request->route->websocket->deflate : &app->config->options.deflate;
  if (!dialect->compressed) deflate = &off;
  struct bytes extension = deflate_agree(head, deflate, &terms, text);
  struct http_fields fields;
  http_fields_init(&fields);
  if (protocol.len > 0) http_fields_add(&fields, BYTES("Sec-WebSocket-Protocol"), protocol);
  if (extension.len > 0) http_fields_add(&fields, BYTES("Sec-WebSocket-Extensions"), extension);
  bool fine = !fields.text.failed;
  if (fine) exchange_set_dialect(exchange, dialect, dialect->form);
  fine = fine && exchange_upgrade(exchange, &fields);
  http_fields_deinit(&fields);
  if (fine) {
    form_users_add(exchange_delivery(exchange)->form_users, exchange_form(exchange));
    if (!deflate_begin(exchange, terms, deflate_min(deflate))) exchange->subscriber.flags |= SUBSCRIBER_BROKEN;
  } else {
    exchange_refuse(exchange, 503, "unavailable", "out of memory", bytes_of(NULL, 0));
  }
  return fine;
}
