/* What a worker asks of the script for one client, and what comes back: it travels between the two by reference.
 *
 * To join channels takes several questions to the app (authenticate, authorize, open, join); an HTTP request takes one. When a client that
 * joined leaves again, the same errand travels once more, so that leaving needs no memory. */
#ifndef MOONWIRE_SERVER_ERRAND_H
#define MOONWIRE_SERVER_ERRAND_H

#include "base/list.h"
#include "codec/http_reader.h"
#include "server/client.h"
#include "server/config.h"
#include "server/id.h"
#include "server/wire.h"

VISIBILITY_PUSH

struct mw_server;

/* Names an exchange of a worker, also when it has gone. */
struct session_ref {
  uint32_t worker, slot, generation;
};

/* A question to the app. One at a time for each errand, one for each channel that opens or closes. */
struct mw_request {
  struct list link; /* in the server's list of those that wait for an answer, oldest first */
  enum mw_request_type type;
  struct mw_server *server;    /* NULL: the server has gone, and nobody wants the answer */
  struct errand *errand;       /* or */
  struct occupancy *occupancy; /* for OPEN and CLOSE */
  uint64_t asked_ms;
  bool waiting, cancelled;
  void *context; /* the app's */
};

enum errand_type { ERRAND_JOIN, ERRAND_HTTP, ERRAND_STREAM };

enum errand_step {
  STEP_AUTHENTICATE,
  STEP_AUTHORIZE,
  STEP_OPEN,
  STEP_JOIN,
  STEP_JOINED, /* the worker has the answer; if it comes back, it is to leave */
  STEP_LEAVE,
  STEP_OVER
};

struct errand_channel {
  struct bytes name;
  const struct kind *kind;
  struct blob *data;   /* what JOIN gave; NULL: nothing */
  bool opened, joined; /* to be undone */
};

struct errand {
  atomic_uint refs;
  enum errand_type type;
  struct session_ref asker;
  struct mw_config *config;
  struct mw_client *client;
  struct http_copy *http; /* NULL if no question needs it */
  int route;
  atomic_bool cancelled; /* the asker has gone or answers by itself */
  /* Joining. */
  enum wire wire;
  struct since since;
  size_t channel_count;
  struct errand_channel *channels; /* behind the struct */
  /* The script's. */
  struct list link; /* among those that wait for a channel to open, or for memory to be sent */
  unsigned backlog_type;
  struct mw_request request;
  enum errand_step step;
  size_t at;    /* the channel of the step */
  bool running; /* inside the loop that takes its steps */
  /* The answer. status 0 while there is none; 200 is yes. */
  int status;
  char code[65];
  char reason[256];
  struct blob *fields, *body; /* of an HTTP response */
  struct mw_stream *stream;   /* borrowed: the app's handle, which refers to this errand; NULL when the app let go */
};

/* A copy of an HTTP request that outlives its connection. */
struct http_copy {
  struct mw_http http;
  struct mw_http_field fields[];
};
/* NULL without memory. */
struct http_copy *http_copy_new(const struct http_head *head, struct bytes path, struct bytes body, const char *remote);

/* One reference; keeps config and client (NULL allowed), takes http (NULL allowed), copies the channels and their names. NULL without
 * memory: then nothing was taken. */
struct errand *errand_new(enum errand_type type, struct mw_config *config, struct mw_client *client, struct http_copy *http,
                          const struct errand_channel *channels, size_t channel_count);
struct errand *errand_ref(struct errand *errand);
void errand_unref(struct errand *errand); /* NULL is allowed */
/* True if the app must be asked before it can join. */
bool errand_needs_script(const struct errand *errand);
/* True if the script wants to know when it leaves. */
bool errand_is_membership(const struct errand *errand);
/* Sets a refusal; the texts are cut to their room. */
void errand_refuse(struct errand *errand, int status, const char *code, const char *reason);

VISIBILITY_POP

#endif
