/* A request as roles see it. It belongs to the exchange, whose protocol has the memory, and lasts
 * until its answer is complete or streams (exchange_request).
 *
 * What nobody needs any more can be given back early (exchange_shed): then the body and the path
 * are empty, and of the head only the method and what CORS depends on are left. */
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
  struct bytes body;            /* once it is complete */
  struct budget *budget;        /* what its peer may take of a turn */
  struct script_job *job;       /* as exchange_job; a reference */
  bool is_head;                 /* HEAD: the answer has no body */
  bool is_private;              /* came by a private listener */
  bool peer_ended;              /* the peer sends nothing more: nobody would see it go */
  /* Who answers (http/router.h), by the configuration that was there when the head came. */
  struct mw_config *config; /* a reference, which its protocol releases with it */
  const struct role *role;  /* NULL: the request is refused */
  int refused_status;
  const char *refused_reason;
  char allow[64];            /* the methods of its path, for 405 and OPTIONS */
  const struct route *route; /* if its role has one */
  const struct mount *mount;
  struct bytes rest; /* of the path below the mount */
  bool is_shared;    /* pages of other origins may ask for its path: the answer has CORS fields (cors.h) */
  bool is_guarded;   /* pages of listed origins alone may ask for it */
  /* State of its role, which frees it when it ends (role->on_end). */
  void *of_role;
  uint64_t left; /* of a body that was announced: how much is not pushed yet */
};

VISIBILITY_POP

#endif
