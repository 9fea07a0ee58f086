/* Reads HTTP/1.1 responses with llhttp: the client's side, which codec/ does not have. */
#ifndef MOONWIRE_BENCH_LOAD_HTTP_ANSWER_H
#define MOONWIRE_BENCH_LOAD_HTTP_ANSWER_H

#include "base/buffer.h"

struct http_answer {
  void *parser;         /* llhttp's, whose header conflicts with codec/http */
  int status;           /* of the current answer */
  struct buffer fields; /* of the head: "name:value\n" each; kept until the next answer */
  void *owner;
  /* Any may be NULL. */
  void (*on_head)(void *owner, int status);
  void (*on_body)(void *owner, struct bytes part);
  void (*on_done)(void *owner, int status);
};

/* Initializes the parser. The owner has set the other members. */
void http_answer_init(struct http_answer *answer);
void http_answer_deinit(struct http_answer *answer);
/* Reads `len` bytes, and calls the functions of the owner. Returns the number of bytes that were
 * read, which is less only after the head of an upgrade. *fault receives NULL, or why the bytes are
 * not a response. */
size_t http_answer_feed(struct http_answer *answer, const char *data, size_t len, const char **fault);
/* Returns the value of a field of the head, without white space around it; empty if there is none.
 * `name` ends in a colon. */
struct bytes http_answer_field(const struct http_answer *answer, struct bytes name);

#endif
