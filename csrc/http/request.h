/* A request as roles see it. It belongs to the exchange, whose protocol has the memory, and lasts
 * until its answer is complete or becomes a stream (exchange_request).
 *
 * Parts that are not needed any more can be freed early (exchange_shed). Then the body and the path
 * are empty, and of the head only the method and the fields for CORS are left. */
#ifndef MOONWIRE_HTTP_REQUEST_H
#define MOONWIRE_HTTP_REQUEST_H

#include "base/buffer.h"
#include "codec/http/http_reader.h"

VISIBILITY_PUSH

struct budget;
struct mount;
struct mw_config;
struct role;
struct route;
struct script_job;

struct request {
  const struct http_head *head; /* the same struct for every request of a connection */
  struct buffer path;           /* decoded */
  struct bytes body;            /* empty until it is complete */
  struct budget *budget;        /* of its connection */
  struct script_job *job;       /* as exchange_job; a reference */
  bool is_head;                 /* HEAD: the answer has no body */
  bool is_private;              /* received on a private listener */
  bool peer_ended;              /* the peer has ended its side: it cannot be seen to disconnect */
  /* Who answers (http/router.h), by the configuration that was there when the head came. */
  struct mw_config *config; /* a reference, which its protocol releases with it */
  const struct role *role;  /* NULL: the request is refused */
  int refused_status;
  const char *refused_reason;
  char allow[64];            /* the methods of its path, for 405 and OPTIONS */
  const struct route *route; /* if its role has one */
  const struct mount *mount;
  struct bytes rest; /* of the path below the mount */
  /* pages of other origins may request its path: the answer has CORS fields (cors.h) */
  bool is_shared;
  bool is_over;    /* its address has too many connections */
  bool is_guarded; /* only pages of listed origins may request it */
  /* State of its role, which frees it when it ends (role->on_end). */
  void *of_role;
  uint64_t left; /* unsent bytes of an announced body */
};

VISIBILITY_POP

#endif
