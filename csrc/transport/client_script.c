#include "http/exchange.h"
#include "http/request.h"
#include "transport/client_files.h"
#include "transport/roles.h"

/* The browser client as a module, or, as /moonwire.js?classic, for a script element without a
 * type. */
static void client_script_start(struct exchange *exchange) {
  const struct http_head *head = exchange_request(exchange)->head;
  const struct client_file *file = bytes_equal(head->query, BYTES("classic")) ? &client_classic : &client_module;
  struct http_fields fields;
  http_fields_init(&fields);
  http_fields_add(&fields, BYTES("ETag"), bytes_string(file->tag));
  http_fields_add(&fields, BYTES("Cache-Control"), BYTES("no-cache"));
  http_fields_add(&fields, BYTES("X-Content-Type-Options"), BYTES("nosniff"));
  /* The file is the same for all users, and pages of other origins import it. */
  http_fields_add(&fields, BYTES("Access-Control-Allow-Origin"), BYTES("*"));
  http_fields_add(&fields, BYTES("Cross-Origin-Resource-Policy"), BYTES("cross-origin"));
  struct answer answer = {.status = 304, .fields = &fields};
  if (!http_head_has_tag(head, bytes_string(file->tag))) {
    answer.status = 200;
    answer.content_type = BYTES("text/javascript; charset=utf-8");
    answer.body = bytes_of((const char *)file->text, file->len);
  }
  exchange_answer(exchange, &answer);
  http_fields_deinit(&fields);
}

const struct role client_script_role = {.start = client_script_start, .on_end = role_nothing, ROLE_ANSWERS_AT_ONCE};
