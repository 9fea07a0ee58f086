/* One request to another server: what libcurl is told, and what has come of the answer. */
#ifndef MOONWIRE_LUA_FETCH_TRANSFER_H
#define MOONWIRE_LUA_FETCH_TRANSFER_H

#include <curl/curl.h>
#include <stdint.h>

#include "lua/base/binding.h"

BINDING_BEGIN

enum {
  TRANSFER_HEAD_MAX = 64 * 1024, /* bytes of the header fields of an answer */
  TRANSFER_BODY_MAX = 256 * 1024 /* bytes of the body that are kept; then nothing is read until they are taken */
};

struct transfer_text {
  char *bytes; /* of malloc */
  size_t len, capacity;
};

struct transfer {
  CURL *easy; /* NULL: ended and freed */
  struct curl_slist *fields;
  struct transfer_text head; /* the header fields of the last answer, as received */
  struct transfer_text body; /* received and not taken yet */
  bool has_head;             /* of the answer that counts: not of a redirection that is followed */
  bool is_paused, is_done;
  bool is_too_large, is_out_of_memory;
  CURLcode result; /* if it is done */
  long status, redirects_max;
  /* of the fetcher */
  struct transfer **changed_list, *next_changed;
  bool is_changed, is_added;
  char problem[CURL_ERROR_SIZE];
};

/* All strings are terminated, and without line ends where they are parts of a head. NULL: none. */
struct transfer_options {
  const char *url, *method, *unix_socket, *ca_file;
  struct mw_bytes body;            /* copied; ptr NULL: none */
  uint64_t timeout_ms, connect_ms; /* 0: no limit */
  long redirects;
  bool is_unverified;
};

/* Prepares it. Returns CURLE_OK, or why it cannot be; transfer_free must follow in any case. */
CURLcode transfer_init(struct transfer *transfer, const struct transfer_options *options);
/* Adds a header field, "Name: value", before the start. */
CURLcode transfer_add_field(struct transfer *transfer, const char *line);
void transfer_free(struct transfer *transfer);
/* Something was received, or it has ended: the fetcher will tell. */
void transfer_mark(struct transfer *transfer);
/* It has ended. */
void transfer_end(struct transfer *transfer, CURLcode result);
/* What has been received of the body is taken: more may be received. */
void transfer_taken(struct transfer *transfer);
/* Returns whether more is to be read: a head, a part of a body, or the end. */
static inline bool transfer_has_head(const struct transfer *transfer) { return transfer->has_head || transfer->is_done; }
static inline bool transfer_has_body(const struct transfer *transfer) { return transfer->body.len > 0 || transfer->is_done; }
/* Why it has failed: a message, and a code for the script. */
const char *transfer_problem(const struct transfer *transfer, const char **code);

BINDING_END

#endif
