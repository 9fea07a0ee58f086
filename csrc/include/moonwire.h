/* moonwire: real-time channels over WebSocket, Server-Sent Events, and long polling. The only
 * public header of the C library.
 *
 * The core handles connections, HTTP, framing, channels, history, and fan-out. The app (a C
 * program, or the Lua binding) defines the channels (mw_config), and answers requests
 * (mw_config_options.on_request).
 *
 * Errors. Functions return 0 or a negative status, unless their comment states otherwise. A status
 * is of enum mw_status or of libuv; mw_status_text describes it. Violated preconditions assert.
 *
 * Text is UTF-8, given as pointer and length. Lengths are bytes. Names that end in _ms are
 * milliseconds.
 *
 * Ownership. Arguments are borrowed for the call, and results are borrowed from their object.
 * "Takes" means that ownership moves, and "keeps" that a reference is held.
 *
 * Threads. A server belongs to the thread that steps it, the script thread. All functions are
 * called on it, and all callbacks come on it, unless the comment states "any thread". */
#ifndef MOONWIRE_H
#define MOONWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MW_VERSION "0.1.0"

#if defined(__GNUC__) || defined(__clang__)
#define MW_API __attribute__((visibility("default")))
#else
#define MW_API
#endif

/* ---- Status ---------------------------------------------------------------------------------- */

enum mw_status {
  MW_OK = 0,
  MW_ENOMEM = -5001,       /* out of memory */
  MW_EINVAL = -5002,       /* an argument is malformed; the error text names it */
  MW_ENOTFOUND = -5003,    /* no pattern matches the channel, or the item does not exist */
  MW_EUNAVAILABLE = -5004, /* a limit is reached, or the server is stopping; retry later */
  MW_ETOOLARGE = -5005,    /* exceeds a limit in bytes */
  MW_ECLOSED = -5006,      /* the client has disconnected, or the stream or server has ended */
  MW_EOVERLAP = -5007,     /* two patterns can match the same name, and neither is more specific */
  MW_ELIMIT = -5008,       /* exceeds a limit in number */
  MW_EFORGED = -5009,      /* was not made with this key for this purpose, or was altered */
  MW_EEXPIRED = -5010,     /* is valid no longer */
  MW_ETIMEDOUT = -5011,    /* took too long */
  MW_EWAITING = -5012,     /* limits.waiting is reached; retry later */
  /* Redis, which orders the messages, refuses them or does not answer. Except for the last two, nothing
   * was published. mw_status_text has the advice. */
  MW_EBROKER_LOST = -5101,        /* not connected */
  MW_EBROKER_LATE = -5102,        /* did not answer in time */
  MW_EBROKER_FULL = -5103,        /* its memory is full (maxmemory) */
  MW_EBROKER_REPLICAS = -5104,    /* it has too few replicas (min-replicas-to-write) */
  MW_EBROKER_READONLY = -5105,    /* it is a replica */
  MW_EBROKER_BUSY = -5106,        /* it loads its data, or runs a script */
  MW_EBROKER_DENIED = -5107,      /* user, password, or ACL */
  MW_EBROKER_DISK = -5108,        /* it cannot save (stop-writes-on-bgsave-error) */
  MW_EBROKER_FAILED = -5109,      /* another error, which the log has */
  MW_EBROKER_UNSURE = -5110,      /* the answer did not come: it may have been published */
  MW_EBROKER_UNREPLICATED = -5111 /* it was published, but too few replicas have it: it may be lost */
};

/* Returns a constant text for a status, of this library or of libuv. Any thread. */
MW_API const char *mw_status_text(int status);
/* Returns MW_VERSION of the build of the library. Any thread. */
MW_API const char *mw_version(void);

struct mw_bytes {
  const char *ptr; /* not terminated; NULL only if len is 0 */
  size_t len;
};

/* What failed, as text. Functions that take one fill it when they fail. NULL is allowed. */
struct mw_error {
  char text[256];
};

/* ---- Memory, log ----------------------------------------------------------------------------- */

/* Like realloc(ptr, size). Size 0 frees ptr and returns NULL. Any thread. */
typedef void *(*mw_resize_fn)(void *context, void *ptr, size_t size);
/* Replaces the allocator of the whole library. Must precede all other calls. */
MW_API void mw_set_allocator(mw_resize_fn resize, void *context);

enum mw_log_level { MW_LOG_DEBUG, MW_LOG_INFO, MW_LOG_WARNING, MW_LOG_ERROR };
/* Receives a line, terminated and without a newline. Called on the thread that logs, before its
 * call returns: for a server's lines, that is the thread of its event loop. One call at a time, and
 * never on the log's own thread. */
typedef void (*mw_log_fn)(void *context, enum mw_log_level level, const char *text, size_t text_len);
/* Sends lines of `level` and above to `sink`, for the whole process. NULL: "<time> <level> <text>"
 * to standard error; this is the default, from MW_LOG_INFO on. While a server exists, the log's own
 * thread writes to standard error, so that it cannot block the caller. Lines that it does not
 * accept are dropped and counted. */
MW_API void mw_log_to(enum mw_log_level level, mw_log_fn sink, void *context);
/* Logs a line. Any thread. */
MW_API void mw_log(enum mw_log_level level, const char *text, size_t text_len);

/* An error that a peer can cause at any rate. */
struct mw_log_error {
  enum mw_log_level level;
  struct mw_bytes place; /* the unit of the rate limit, such as a file and a line */
  struct mw_bytes what;  /* written before the text; may be empty */
  struct mw_bytes text;
  struct mw_bytes traceback; /* further lines; may be empty */
};
/* Logs it, at most once a second for each place, with a count of the lines that were not written.
 * The traceback is written only if mw_log_error_is_new. Any thread. */
MW_API void mw_log_error(const struct mw_log_error *error);
/* Returns whether the traceback of that error would be written: at most once a minute. */
MW_API bool mw_log_error_is_new(const char *place, size_t place_len, const char *text, size_t text_len);

/* Returns the number of live objects of a kind in the process: "conn", "session", "client",
 * "request", "membership", "channel", "message", "blob", "subscription", or "memory" (allocations).
 * 0 when everything was freed, -1 for another kind. Any thread. */
MW_API int64_t mw_live(const char *what);

/* ---- Tokens ---------------------------------------------------------------------------------- */

enum { MW_TOKEN_MAX = 8192 }; /* bytes of a token, and of its claims */

/* A verifier of JSON Web Tokens (RFC 7519): keys, and rules for the claims. Immutable, except that
 * the keys of a file are read again when it changes. Any thread. */
struct mw_token;

/* Exactly one of key, public_key, and jwks_file is required. */
struct mw_token_options {
  struct mw_bytes key;    /* a secret of at least 32 bytes, for HS256, HS384 (48), and HS512 (64) */
  const char *public_key; /* in PEM: RSA of at least 2048 bits, P-256, or Ed25519 */
  /* the path of a JWK set: a token names its key by "kid". The file is read again when it changes;
   * a version that cannot be read is logged, and the earlier keys stay */
  const char *jwks_file;
  /* allowed algorithms: HS256, HS384, HS512, RS256, PS256, ES256, EdDSA. None: the "alg" of a JWK,
   * else HS256 for a secret, RS256 for RSA, ES256 for P-256, and EdDSA for Ed25519 */
  const char *const *algorithms;
  size_t algorithm_count;
  const char *issuer;   /* the value that "iss" must have; NULL: any */
  const char *audience; /* a value that "aud" must have; NULL: tokens with "aud" are refused */
  const char *cookie;   /* the cookie that may carry the token; NULL: none */
  uint64_t leeway_ms;   /* by which the clocks may differ, for "exp" and "nbf"; at most 300 s */
  bool exp_optional;    /* accepts tokens without "exp", which never expire */
};
/* Copies the options. The caller owns one reference. MW_EINVAL, MW_ENOMEM, or a negative errno for
 * the file. */
MW_API int mw_token_new(struct mw_token **token, const struct mw_token_options *options, struct mw_error *error);
MW_API struct mw_token *mw_token_ref(struct mw_token *token); /* returns its argument */
MW_API void mw_token_unref(struct mw_token *token);           /* NULL is allowed */
/* Verifies a token at a time in milliseconds since 1970 (0: the time of the system). Returns the
 * number of bytes of its claims, a JSON object, which `claims` receives. *expires_ms (may be NULL)
 * receives when it expires, with the leeway; 0: never. MW_EEXPIRED; MW_EINVAL: it is not valid;
 * `error` states why. MW_ENOMEM. */
MW_API int mw_token_verify(struct mw_token *token, const char *text, size_t text_len, uint64_t now_ms, char claims[MW_TOKEN_MAX],
                           uint64_t *expires_ms, struct mw_error *error);

/* A key to sign with. Exactly one of key and private_key is required. */
struct mw_token_signer {
  struct mw_bytes key;     /* a secret */
  const char *private_key; /* in PEM, without a password */
  const char *algorithm;   /* NULL: as in mw_token_options */
  const char *kid;         /* the id of the key, for the header of the token; NULL: none */
};
/* Signs claims, a JSON object. Returns the number of bytes of the token, which `text` receives,
 * not terminated. MW_EINVAL, MW_ETOOLARGE, MW_ENOMEM. Any thread. */
MW_API int mw_token_sign(const struct mw_token_signer *signer, const char *claims, size_t claims_len, char text[MW_TOKEN_MAX],
                         struct mw_error *error);

/* ---- What an app is -------------------------------------------------------------------------- */

/* The definition of an app: kinds of channels, routes, limits. Built by one thread, immutable once
 * a server has it, shared by reference. */
struct mw_config;

struct mw_request;

/* How often something may happen: a token bucket. */
struct mw_rate {
  double per_second; /* from 0.001 to 1000000; 0: no limit */
  size_t burst;      /* at once, up to 1000000; 0: as many as in two seconds, at least 1 */
};

/* Each limit: what it bounds; what happens beyond it; its default. docs/reference/options.md
 * explains them. */
struct mw_limits {
  size_t target;       /* request target: 414; 8192 */
  size_t head;         /* request line and fields: 431; 16384 */
  size_t fields;       /* number of fields: 431; 100 */
  size_t body;         /* request body: 413; 1 MiB */
  size_t message_size; /* JSON data of one message: 413; 64 KiB */
  /* unsent bytes of one subscriber: enum mw_slow applies; of other data: it is closed; 1 MiB */
  size_t outbox;
  /* messages of one channel replayed to one subscriber: a gap, and the newest; 10000 */
  size_t replay;
  size_t replay_bytes;    /* the same in bytes; 16 MiB */
  size_t history;         /* bytes of all histories: the oldest messages are evicted; 256 MiB */
  size_t ws_message_size; /* bytes of one WebSocket message: closed with 1009; 1 MiB */
  /* one client's input that is queued while a handler runs: then reading stops; 64 KiB */
  size_t input_backlog;
  /* data queued for a worker or the script: 503; incomplete messages and bodies: 1013, 503; 64
   * MiB */
  size_t queue;
  /* open connections: the newest is closed; what ulimit -n allows less a reserve, at most 100000 */
  size_t connections;
  size_t channels; /* live channels: no new ones (503); 1000000 */
  /* remembered positions of channels that are not live, 32 bytes each; 1000000 */
  size_t marks;
  size_t client_channels; /* channels of one subscriber: 400; 100 */
  /* live channels that one client has created and left: no new ones (503); 0: no limit; 10000 */
  size_t client_names;
  /* live channels that clients of one address have created: no new ones (503); 0: no limit;
   * 100000 */
  size_t address_names;
  /* clients of GET /poll?client= of one address, and their channels: 503; 0: no limit; 20000 */
  size_t address_polls;
  /* open connections of one address; behind a trusted proxy, its requests and streams: the newest is
   * closed, or 429; 0: no limit; 10000 */
  size_t address_connections;
  size_t user_connections; /* connected clients of one user: 429; 0: no limit; 1000 */
  /* new event streams and WebSockets of one address: 429; 200 a second, 2000 at once */
  struct mw_rate address_handshakes;
  /* messages of one client: 429; 100 a second, 200 at once */
  struct mw_rate rate;
  /* subscribe, unsubscribe, presence, history, token of one connection: 429; 100 a second, as many
   * at once as four times client_channels, at least 1000 */
  struct mw_rate verb_rate;
  size_t waiting;   /* requests that wait for a handler: 503; 10000 */
  uint64_t head_ms; /* from the first byte of a request to the end of its head: 408; 10 s */
  uint64_t body_ms; /* from the head to the end of the body: 408; 30 s */
  /* from the first byte of a WebSocket message to its end: closed with 1008; 30 s */
  uint64_t message_ms;
  uint64_t idle_ms;      /* a connection between requests: closed; 75 s */
  uint64_t answer_ms;    /* a request waits for its handler: cancelled, 503; 30 s */
  uint64_t heartbeat_ms; /* a stream without data: a comment is sent; 15 s */
  /* from the upgrade to "connect" of a moonwire.1 client: closed with 4408; 10 s */
  uint64_t connect_ms;
  uint64_t ping_ms;     /* a WebSocket without data from the peer: a ping; 25 s */
  uint64_t pong_ms;     /* then without an answer: closed; 10 s */
  uint64_t progress_ms; /* a peer reads nothing although data is queued: closed; 30 s */
  uint64_t drain_ms;    /* stopping waits for requests that have begun; then 503; 5 s */

  uint64_t poll_ms; /* the maximum wait of GET /poll; 30 s */
  /* a client of GET /poll?client= does not poll: it is disconnected; 30 s */
  uint64_t poll_client_ms;
};
MW_API void mw_limits_init(struct mw_limits *limits);

/* Receives a request on the script thread. The app must answer it exactly once, in the callback or
 * later. */
typedef void (*mw_request_fn)(void *context, struct mw_request *request);

/* Compression of WebSockets (permessage-deflate), for clients that offer it. Zeroed: on, without
 * context takeover. A published message is then compressed once for all subscribers, and an idle
 * connection holds no memory for compression. */
struct mw_deflate_options {
  bool is_off;
  /* messages may refer to earlier ones; each connection compresses for itself, with up to 256
   * KiB */
  bool server_takeover;
  bool client_takeover; /* the same for the client's messages; each connection holds about 40 KiB */
  size_t min;           /* bytes from which a message is compressed, up to 1 MiB; 0: 256 */
};

/* The headers that state the client of a trusted proxy. A proxy must set or remove all headers that
 * count: others reach the server as the client has sent them. */
enum mw_proxy_headers {
  MW_PROXY_HEADERS_ANY,         /* as X_FORWARDED if there is such a header, else as FORWARDED */
  MW_PROXY_HEADERS_X_FORWARDED, /* X-Forwarded-For, X-Forwarded-Proto */
  MW_PROXY_HEADERS_FORWARDED    /* Forwarded (RFC 7239) */
};

/* A Redis that orders and keeps the messages of several servers. */
struct mw_broker_options {
  /* "redis://[[username]:password@]host[:port][/db]", "rediss://..." for TLS, or
   * "unix:/path[?db=number]"; with sentinels, the host is the master name that they monitor.
   * NULL: no broker */
  const char *url;
  const char *const *sentinels; /* "[[username]:password@]host[:port]" each, at most 16 */
  size_t sentinel_count;
  const char *username; /* in place of those of the URL; NULL: none */
  const char *password;
  /* of all keys and pub/sub channels in Redis: 1 to 64 of [A-Za-z0-9_.:-]; NULL: "mw" */
  const char *prefix;
  /* trusted authorities for rediss:, in PEM, in place of the system's; read once; NULL: the system's */
  const char *ca_file;
  bool is_unverified; /* any certificate is accepted */
  /* how long a publish, a join, or a read of a history waits for Redis, at most 10 minutes; 0: 5 s */
  uint64_t publish_ms;
  /* how long this server may be silent until it counts as dead and its members leave: 2 seconds to 10
   * minutes; 0: 10 s */
  uint64_t expiry_ms;
  uint32_t wait_replicas; /* replicas of Redis that must have a published message; at most 16 */
};

/* Returns 0 if mw_config_new would accept the options, or MW_EINVAL or MW_ENOMEM. Sets *error (may be
 * NULL) to what is wrong, without a secret. Does not connect. Any thread. */
MW_API int mw_broker_check(const struct mw_broker_options *options, struct mw_error *error);

struct mw_config_options {
  struct mw_limits limits; /* mw_limits_init first */
  struct mw_broker_options broker;
  /* MW_REQUEST_AUTHENTICATE for every new client; otherwise all are anonymous */
  bool authenticate;
  /* identifies every new client by a token, without a request to the app; kept. The claims are its
   * user. A client is closed when its token expires. NULL: none. Excludes `authenticate` */
  struct mw_token *token;
  bool connects;                       /* MW_REQUEST_CONNECT when a client has connected */
  bool disconnects;                    /* MW_REQUEST_DISCONNECT when it has disconnected */
  bool rate_closes;                    /* a client over limits.rate is closed as well, with 1008 */
  struct mw_deflate_options deflate;   /* of path_ws */
  enum mw_proxy_headers proxy_headers; /* of trusted proxies (mw_config_trust) */
  /* the Bearer token for POST /publish; NULL: /publish answers 404 */
  const char *publish_key;
  const char *path_sse;     /* NULL: "/sse"; "" turns the endpoint off; the others are alike */
  const char *path_ws;      /* NULL: "/ws" */
  const char *path_send;    /* NULL: "/send" */
  const char *path_publish; /* NULL: "/publish" */
  const char *path_health;  /* NULL: "/health" */
  const char *path_ready;   /* NULL: "/ready" */
  const char *path_poll;    /* NULL: "/poll" */
  /* NULL: "/moonwire.js": the browser client, which is part of the library */
  const char *path_client;
  mw_request_fn on_request; /* may be NULL if there are no requests */
  /* the client has disconnected, or the answer took too long; may be NULL */
  mw_request_fn on_cancel;
  void *context; /* passed to both */
};
/* Zeroes the options, and sets the defaults of the limits. */
MW_API void mw_config_options_init(struct mw_config_options *options);

/* Copies the options. The caller owns one reference. MW_ENOMEM, MW_EINVAL. */
MW_API int mw_config_new(struct mw_config **config, const struct mw_config_options *options, struct mw_error *error);
MW_API void mw_config_unref(struct mw_config *config); /* NULL is allowed */

/* The hooks of a kind of channel. The app receives no requests for others. */
enum mw_hook {
  MW_HOOK_AUTHORIZE = 1 << 0,
  MW_HOOK_OPEN = 1 << 1,
  MW_HOOK_JOIN = 1 << 2,
  MW_HOOK_LEAVE = 1 << 3,
  MW_HOOK_CLOSE = 1 << 4,
  MW_HOOK_SLOW = 1 << 5,
  MW_HOOK_PRESENCE = 1 << 6 /* with presence: what members receive about a user */
};

/* What happens to a slow subscriber: when the next message would exceed mw_channel_options.outbox,
 * or the oldest unsent one age_ms. Other subscribers are not affected. While a subscriber is slow,
 * volatile messages are dropped, except with MW_SLOW_LATEST. If one of its channels sets
 * MW_SLOW_CLOSE, it is closed. */
enum mw_slow {
  MW_SLOW_DEFAULT, /* MW_SLOW_CATCHUP with history, MW_SLOW_CLOSE without */
  MW_SLOW_CLOSE,   /* close it: WebSocket code 1013, or the end of the stream. It may resume */
  /* drop unsent messages, and read them from the histories later; a gap if they have moved on */
  MW_SLOW_CATCHUP,
  MW_SLOW_DROP,  /* drop messages until it reads again; then a gap */
  MW_SLOW_LATEST /* keep the newest message of each mw_publish.key */
};

/* An event that clients may send to a channel. */
struct mw_event_rule {
  const char *event;
  bool relay; /* passed to all other subscribers; otherwise MW_REQUEST_MESSAGE */
  bool keep;  /* relayed with id and history; otherwise volatile */
  /* of one client in one channel: 429; zero: it counts for mw_channel_options.rate */
  struct mw_rate rate;
};

/* What subscribers receive about the members of a channel ("moonwire:presence"). */
enum mw_presence {
  MW_PRESENCE_NONE,
  MW_PRESENCE_FULL,  /* who is present, who joins, and who leaves */
  MW_PRESENCE_COUNTS /* the number of members */
};

struct mw_channel_options {
  unsigned hooks; /* of enum mw_hook */
  /* copied; other events of clients are answered with unknown_event */
  const struct mw_event_rule *events;
  size_t event_count;
  uint32_t history_size;   /* messages kept; 0: no history */
  uint64_t history_bytes;  /* bytes of these with their encoded forms; 0: no limit */
  uint64_t history_ttl_ms; /* how long they are kept; 0: no limit */
  uint32_t history_replay; /* messages that a subscriber without a cursor receives */
  bool history_readable;   /* subscribers may read it: the verb "history" */
  /* instead of MW_HOOK_AUTHORIZE: a client may subscribe if the claim "channels" of its token, a
   * list of patterns, grants the channel; requires mw_config_options.token */
  bool token_channels;
  enum mw_slow slow; /* MW_SLOW_CATCHUP needs history */
  size_t outbox;     /* unsent bytes of a subscriber; beyond, it is slow; 0: limits.outbox */
  /* age of the oldest unsent message, checked when the next one comes; 0: no limit */
  uint64_t age_ms;
  uint64_t linger_ms; /* from the last leave to MW_REQUEST_CLOSE */
  enum mw_presence presence;
  uint64_t presence_linger_ms;   /* from a user's last disconnect to the leave */
  uint64_t presence_interval_ms; /* between two announcements */
  size_t members;                /* users at the same time; beyond: refused; 0: 100000 */
  struct mw_rate rate;           /* messages of one client in one channel: 429; zero: no limit */
  struct mw_rate total_rate;     /* messages of all clients in one channel: 429; zero: no limit */
  bool rate_closes;              /* a client over its own rate is closed as well, with 1008 */
  size_t channels;               /* live channels of this kind; beyond: 503; 0: no limit */
  size_t message_size;           /* data of a client's message: 413; 0, or above it: limits.message_size */
};

/* Adds a kind of channel, and returns its index (0, 1, …). A pattern has segments, separated by ':'
 * or '/', each a literal or a capture "{name}", which is non-empty and never matches ':' or '/'.
 * Where two patterns match, a literal takes precedence over a capture. MW_EINVAL: malformed pattern
 * or option. MW_EOVERLAP: a name could match this pattern and another, and neither is literal
 * wherever they differ. MW_ENOMEM. */
MW_API int mw_config_channel(struct mw_config *config, const char *pattern, const struct mw_channel_options *options,
                             struct mw_error *error);

/* Adds a route, and returns its number, which differs from those of kinds. `method` is GET, POST,
 * PUT, PATCH, DELETE, or OPTIONS. The route for GET also answers HEAD. Without a route, the server
 * answers OPTIONS. Patterns begin with '/', and have segments separated by '/'. The last may be a
 * catch-all "{name...}": it takes the rest of the path, which may be empty. Every other route takes
 * precedence over it. MW_EINVAL, MW_EOVERLAP, MW_ENOMEM. */
MW_API int mw_config_route(struct mw_config *config, const char *method, const char *pattern, struct mw_error *error);
/* Adds a raw event stream, numbered with the routes: MW_REQUEST_STREAM. `method` and `pattern` are
 * those of a route, except OPTIONS. */
MW_API int mw_config_stream(struct mw_config *config, const char *method, const char *pattern, struct mw_error *error);
/* Options of a raw WebSocket endpoint. Zero: the value of the app. */
struct mw_websocket_options {
  /* subprotocols, best first: the first that the client offers is chosen, or none */
  const char *const *protocols;
  size_t protocol_count;
  const char *const *origins; /* replace those of mw_config_origin; none: the app's */
  size_t origin_count;
  size_t message_size; /* bytes of one message: closed with 1009; 0: limits.ws_message_size */
  size_t frame_size;   /* bytes of one frame: closed with 1009; 0: message_size */
  size_t outbox;       /* unsent bytes: closed with 1013; 0: limits.outbox */
  uint64_t ping_ms;    /* without data from the peer: a ping; 0: limits.ping_ms */
  uint64_t pong_ms;    /* then without an answer: closed; 0: limits.pong_ms */
  /* messages of one client: they wait, or, with rate_closes, it is closed; zero: they count for
   * limits.rate */
  struct mw_rate rate;
  bool has_no_rate; /* messages are not limited */
  struct mw_deflate_options deflate;
};
MW_API void mw_websocket_options_init(struct mw_websocket_options *options);
/* Adds a raw WebSocket endpoint at GET `pattern`, numbered with the routes: MW_REQUEST_WEBSOCKET.
 * Copies the options. MW_EINVAL, MW_EOVERLAP, MW_ENOMEM. */
MW_API int mw_config_websocket(struct mw_config *config, const char *pattern, const struct mw_websocket_options *options,
                               struct mw_error *error);
/* Lets pages of other sites send requests to a route with the user's cookies. Otherwise a POST, or
 * the request for a raw stream, is answered with 403 if it has a cookie and may come from another
 * site: see docs/concepts/security.md. MW_ENOTFOUND: not the number of a route. */
MW_API int mw_config_cross_site(struct mw_config *config, int route);
/* Refuses requests to a route with 403 if they have an Origin that is neither the server's own nor
 * one of mw_config_origin, or if they come from a page of another site (Sec-Fetch-Site), with or
 * without a cookie. MW_ENOTFOUND: not the number of a route. */
MW_API int mw_config_own_origins(struct mw_config *config, int route);
/* Adds the route for requests that nothing else answers, of any method (MW_REQUEST_HTTP), and
 * returns its number. MW_EOVERLAP: there is one. MW_ENOMEM. */
MW_API int mw_config_not_found(struct mw_config *config, struct mw_error *error);
struct mw_http_field;
struct mw_static_options {
  /* a file of the directory, sent where no file is found, unless the name that was asked for has a
   * dot: for apps that route in the browser; NULL: none */
  const char *fallback;
  /* seconds for which browsers keep files other than HTML without asking again; 0: they always
   * ask */
  uint64_t cache_s;
  /* the files never change: those with a hash in their name; browsers keep them for a year */
  bool is_immutable;
  /* sent with every file (200 and 304), such as Content-Security-Policy; copied; at most 8 KiB */
  const struct mw_http_field *fields;
  size_t field_count;
};
/* Serves the files of a directory under a path ("/" or "/assets"). Endpoints and routes take
 * precedence. `options` may be NULL. MW_EINVAL: not a directory, the fallback is not the path of a
 * file in it, or a field is malformed, repeated, or set by the server itself. */
MW_API int mw_config_static(struct mw_config *config, const char *path, const char *directory,
                            const struct mw_static_options *options, struct mw_error *error);
/* Allows another origin: "https://a.example", one or more labels below a domain ("https://"
 * "*.b.example"), or "*" for all. The same origin is always allowed. MW_EINVAL. */
MW_API int mw_config_origin(struct mw_config *config, const char *origin, struct mw_error *error);
/* Trusts a proxy: a network ("10.0.0.0/8", "2001:db8::/32"), an address, or "unix" for all peers of
 * unix sockets. Its headers, or its PROXY header, then state the address of its client, and the
 * scheme. From all others they are ignored. MW_EINVAL, MW_ENOMEM. */
MW_API int mw_config_trust(struct mw_config *config, const char *proxy, struct mw_error *error);

/* Returns the kind whose pattern matches the name, MW_ENOTFOUND, or MW_EINVAL if it is not a
 * channel name. */
MW_API int mw_config_match(const struct mw_config *config, const char *name, size_t name_len, struct mw_error *error);
/* Returns the i-th capture of a name of that kind, or of a path of that route. The value points
 * into `name`. MW_ENOTFOUND after the last. */
MW_API int mw_config_param(const struct mw_config *config, int kind, const char *name, size_t name_len, size_t i,
                           struct mw_bytes *param_name, struct mw_bytes *param_value);

/* ---- Server ---------------------------------------------------------------------------------- */

struct mw_server;

struct mw_server_options {
  struct mw_config *config; /* kept */
  void *loop;               /* a uv_loop_t of the host, which then runs it; NULL: its own loop */
  /* Continue the ids of an earlier server, so that clients that missed nothing receive no gap: the
   * epoch (the first 8 characters of an id) and the number of the newest id. NULL and 0: a new
   * epoch. */
  const char *epoch;
  uint64_t position;
  /* Workers, each with a thread, an event loop, and its part of the connections. Above 1, the thread
   * that runs the server runs the app's handlers alone, and connections in memory are impossible. 0:
   * one, on the thread that runs the server. At most MW_WORKERS_MAX. */
  unsigned workers;
};

enum { MW_WORKERS_MAX = 64 };
/* Returns how many threads can run at the same time: a good number of workers. */
MW_API unsigned mw_cores(void);

/* Creates a server. Ignores SIGPIPE if the process has not set a handler for it. MW_ENOMEM,
 * MW_EINVAL (epoch, position), or a status of libuv. */
MW_API int mw_server_new(struct mw_server **server, const struct mw_server_options *options, struct mw_error *error);

/* Returns 0 if mw_server_listen would read the address, or MW_EINVAL. Sets *error (may be NULL) to
 * what is wrong with it. Does not check whether it can be bound. Any thread. */
MW_API int mw_address_check(const char *address, struct mw_error *error);

struct mw_listen_options {
  bool is_private;    /* for operators: /publish is then served only there */
  unsigned unix_mode; /* permissions of a unix socket; 0: 0660 */
  /* connections of trusted proxies begin with a header of the PROXY protocol, version 1 or 2;
   * without, they are closed. MW_EINVAL if no proxy is trusted */
  bool proxy_protocol;
};

/* Listens on "HOST:PORT" ("[::1]:8080"; port 0 picks one) or "unix:PATH". A stale socket is
 * removed; a live one is MW_EINVAL. `options` may be NULL. */
MW_API int mw_server_listen(struct mw_server *server, const char *address, const struct mw_listen_options *options,
                            struct mw_error *error);
/* Returns the address of the i-th listener, with the port that was picked, or NULL after the last.
 * Borrowed. */
MW_API const char *mw_server_address(const struct mw_server *server, size_t i);

/* Runs the loop until a stop has completed. Not with a host's loop. */
MW_API int mw_server_run(struct mw_server *server);
/* Runs one event loop iteration without waiting. Returns whether the server is still running. Not
 * with a host's loop, nor inside a callback. */
MW_API bool mw_server_step(struct mw_server *server);
/* Return a descriptor that is readable when a step has something to do, and the milliseconds after
 * which it has in any case (-1: never). Ask for the time after each step; if it changes before the
 * next one, the descriptor becomes readable. After mw_server_advance, these are the milliseconds by
 * which time must be moved. */
MW_API int mw_server_fd(const struct mw_server *server);
MW_API int mw_server_timeout(struct mw_server *server);

/* Stops: listeners close, and streams end. Requests that have begun are finished, for at most
 * limits.drain_ms; then they are refused, and the handlers of the app are cancelled. Then
 * on_stopped (may be NULL) is called from the loop. A second call is ignored. Safe inside
 * callbacks. */
MW_API void mw_server_stop(struct mw_server *server, void (*on_stopped)(void *context), void *context);
/* Sets the close code of WebSockets when the server stops. Default: 1001 (going away). 1012 means
 * restart. MW_EINVAL: not allowed in a close frame. */
MW_API int mw_server_close_code(struct mw_server *server, int code);
/* Ends what remains immediately, and frees. Not inside a callback; with a host's loop, only after
 * on_stopped. NULL is allowed. */
MW_API void mw_server_free(struct mw_server *server);

/* Watches a signal of the process on the loop. Replaces an earlier watch of it. At most 8 signals:
 * MW_ELIMIT. Or a status of libuv. */
MW_API int mw_server_on_signal(struct mw_server *server, int signum, void (*on_signal)(void *context, int signum), void *context);

/* Enclose code of the app on the thread of the loop. If it takes longer than a second, the log
 * names it: at its end and, on standard error, also while it runs. `describe` writes the name,
 * terminated. The log's thread may call it until mw_handler_end returns, so it may read only data
 * that does not change until then. No nesting. */
MW_API void mw_handler_begin(struct mw_server *server, void (*describe)(void *context, char *text, size_t size), void *context);
MW_API void mw_handler_end(struct mw_server *server);

/* Returns the milliseconds since 1970 on the clock of the server. */
MW_API uint64_t mw_server_time(const struct mw_server *server);

/* Limits whose refusals are counted. The name of one (mw_limit_name) is the option's, or, of an
 * option of channels, "channel_" and the option's. */
enum mw_limit {
  MW_LIMIT_CONNECTIONS,
  MW_LIMIT_ADDRESS_CONNECTIONS,
  MW_LIMIT_USER_CONNECTIONS,
  MW_LIMIT_ADDRESS_HANDSHAKES,
  MW_LIMIT_RATE,
  MW_LIMIT_VERB_RATE,
  MW_LIMIT_WEBSOCKET_RATE, /* of raw WebSockets */
  MW_LIMIT_CHANNEL_RATE,
  MW_LIMIT_CHANNEL_EVENT_RATE,
  MW_LIMIT_CHANNEL_TOTAL_RATE,
  MW_LIMIT_CHANNELS,
  MW_LIMIT_CLIENT_CHANNELS,
  MW_LIMIT_CLIENT_NAMES,
  MW_LIMIT_ADDRESS_NAMES,
  MW_LIMIT_ADDRESS_POLLS,
  MW_LIMIT_CHANNEL_MEMBERS,
  MW_LIMIT_CHANNEL_CHANNELS,
  MW_LIMIT_WAITING,
  MW_LIMIT_QUEUE,
  MW_LIMIT_TARGET,
  MW_LIMIT_HEAD,
  MW_LIMIT_FIELDS,
  MW_LIMIT_BODY,
  MW_LIMIT_MESSAGE_SIZE,
  MW_LIMIT_WS_MESSAGE_SIZE,
  MW_LIMIT_OUTBOX, /* and limits.age of channels */
  MW_LIMIT_INPUT_BACKLOG,
  MW_LIMIT_HEAD_SECONDS,
  MW_LIMIT_BODY_SECONDS,
  MW_LIMIT_IDLE_SECONDS,
  MW_LIMIT_MESSAGE_SECONDS,
  MW_LIMIT_CONNECT_SECONDS,
  MW_LIMIT_PONG_SECONDS,
  MW_LIMIT_PROGRESS_SECONDS,
  MW_LIMIT_ANSWER_SECONDS,
  MW_LIMIT_POLL_CLIENT_SECONDS,
  MW_LIMIT_COUNT
};

/* Returns the name of a limit: a constant. Any thread. */
MW_API const char *mw_limit_name(enum mw_limit limit);

struct mw_stats {
  uint64_t connections;  /* now */
  uint64_t accepted;     /* since the start, like all others without "now" */
  uint64_t requests;     /* HTTP requests */
  uint64_t published;    /* messages */
  uint64_t delivered;    /* messages handed to subscribers */
  uint64_t slow;         /* times that a subscriber became slow */
  uint64_t slow_closed;  /* slow subscribers that were closed */
  uint64_t slow_dropped; /* messages dropped, once for each subscriber */
  /* messages replaced by a newer one of their key, once for each subscriber */
  uint64_t slow_replaced;
  uint64_t dead_closed;            /* peers that were closed because they stopped reading */
  uint64_t deflated;               /* times a message was compressed */
  uint64_t gaps;                   /* moonwire:gap events sent */
  uint64_t subscriptions;          /* now */
  uint64_t channels;               /* now */
  uint64_t history_bytes;          /* now: bytes of all histories */
  uint64_t evicted;                /* messages evicted because of limits.history */
  uint64_t marks;                  /* now: remembered positions of channels that are not live */
  uint64_t floor_gaps;             /* gaps that may be unnecessary, because of limits.marks */
  uint64_t polls;                  /* GET /poll answered with 200 */
  uint64_t poll_clients;           /* now: clients of GET /poll?client= */
  uint64_t broker_losses;          /* times that the connection to the broker was lost */
  uint64_t broker_lost_ms;         /* now: how long it has been lost; 0: it is not, or there is no broker */
  uint64_t limits[MW_LIMIT_COUNT]; /* refusals, and clients that were closed, by limit */
};
MW_API void mw_server_stats(const struct mw_server *server, struct mw_stats *stats);

/* ---- Publishing ------------------------------------------------------------------------------ */

enum { MW_ID_MAX = 32 }; /* bytes of an id with its NUL */

struct mw_publish {
  struct mw_bytes channel;
  struct mw_bytes event; /* empty: "message" */
  struct mw_bytes data;  /* JSON; empty: null. With is_binary: any bytes */
  bool is_volatile;      /* no id, not kept */
  /* data is bytes: WebSocket clients receive a binary frame, others "base64" */
  bool is_binary;
  const struct mw_client *except; /* a client that does not receive it live; NULL: none */
  struct mw_bytes key;            /* for MW_SLOW_LATEST, up to 255 bytes; may be empty */
  bool is_final;                  /* ends the channel; a later publish restarts it */
  /* receives the outcome of a pending publish: 0 and its id, or a negative status. Called once, on
   * the server's thread, after mw_publish has returned MW_PENDING; NULL: not reported */
  void (*on_done)(void *context, int status, const char *id);
  void *context;
};

enum { MW_PENDING = 1 };

/* Publishes a message. `id` (may be NULL) receives its id, empty if it is volatile. Any thread.
 *
 * MW_PENDING: messages are ordered elsewhere, and the outcome is not yet known; `id` is empty. If
 * the server orders messages itself, the outcome is always known. When the server ends, on_done of
 * a publish that is still pending receives MW_ECLOSED: the message may have been published.
 *
 * If the call itself fails, the message was not published. MW_EINVAL: malformed name, event, key, or JSON, or a
 * final message that is volatile. MW_ENOTFOUND: no pattern matches. MW_ETOOLARGE: exceeds
 * limits.message_size, or what the broker accepts. MW_EUNAVAILABLE: exceeds limits.queue, or the server
 * has stopped, or the history cannot keep the message because limits.channels is reached. MW_EWAITING.
 * MW_ENOMEM. With a broker, also MW_EBROKER_LOST and the statuses after it. On threads other than the
 * server's, MW_ENOMEM and a reached limits.channels are not reported: the history then has a gap, which
 * clients receive when they resume. */
MW_API int mw_publish(struct mw_server *server, const struct mw_publish *publish, char id[MW_ID_MAX], struct mw_error *error);

/* Returns whether a broker orders the messages. The outcome of a publish is then pending, unless the
 * message is volatile. Any thread. */
MW_API bool mw_server_has_broker(const struct mw_server *server);

/* A range of a channel's history: between two ids (NULL: open), at most `limit` messages. */
struct mw_history_query {
  const char *since;  /* after this id, from the oldest on; NULL: the newest of the range */
  const char *before; /* before this id */
  size_t limit;       /* 0: 100 */
};
/* A message of a history. Valid during the call. */
struct mw_kept {
  /* data: JSON, or any bytes if is_binary; from: a user's id, or empty */
  struct mw_bytes id, event, data, from, key;
  bool is_binary;
  uint64_t age_ms; /* since it was published */
};
/* Fetches the history of a channel from the broker, for mw_channel_history. Returns 0 if this server
 * has it, as it always does without a broker. MW_PENDING: on_done is called later, once, on the
 * server's thread, with 0, or the status of a failure: as of mw_publish, or MW_ECLOSED (the server
 * stops). A fetched history stays on this server for about 10 s. Negative: on_done is not called. */
MW_API int mw_channel_fetch(struct mw_server *server, const char *name, size_t name_len, const struct mw_history_query *query,
                            void (*on_done)(void *context, int status), void *context);
/* Calls `on_message` for each message, oldest first. *more (may be NULL) receives whether the range
 * has others. An id of another epoch is before everything. MW_EINVAL: not an id. */
MW_API int mw_channel_history(struct mw_server *server, const char *name, size_t name_len, const struct mw_history_query *query,
                              void (*on_message)(void *context, const struct mw_kept *message), void *context, bool *more,
                              struct mw_error *error);

/* Returns the number of subscriptions. *exists (may be NULL) receives whether the channel has
 * subscribers or history. */
MW_API size_t mw_channel_count(struct mw_server *server, const char *name, size_t name_len, bool *exists);

/* A user in a channel with presence. */
struct mw_member {
  struct mw_bytes user_id;
  struct mw_bytes info; /* JSON */
  /* those of this server. 0: the last has disconnected, and linger has not passed. With a broker, a user
   * that is only on other servers has 1 */
  size_t connections;
};
/* A range of the members, in the order of their ids, compared byte by byte as encoded in JSON. */
struct mw_presence_query {
  struct mw_bytes after; /* only after this user id, a member or not; empty: from the first on */
  size_t limit;          /* maximum number of members; 0: all */
};
/* Returns whether the channel has members: it matches a pattern with presence. */
MW_API bool mw_channel_has_presence(struct mw_server *server, const char *name, size_t name_len);
/* Fetches the members of a channel from the broker, for mw_channel_presence. counts_only: only their
 * number is read. Returns 0 if this server knows them, as it always does without a broker, and as long
 * as the channel has subscribers here. Otherwise as mw_channel_fetch. on_done NULL: nothing is fetched;
 * MW_PENDING: it would be. The server's thread. */
MW_API int mw_channel_fetch_presence(struct mw_server *server, const char *name, size_t name_len, bool counts_only,
                                     void (*on_done)(void *context, int status), void *context);
/* Passes the members to on_member (may be NULL), which must not call the library. `query` NULL:
 * all. Returns the number of all members. *more (may be NULL) receives whether others follow. */
MW_API size_t mw_channel_presence(struct mw_server *server, const char *name, size_t name_len,
                                  const struct mw_presence_query *query,
                                  void (*on_member)(void *context, const struct mw_member *member), void *context, bool *more);

/* ---- Clients --------------------------------------------------------------------------------- */

/* The identity on a connection. It is immutable, and lives as long as it has a reference. */
struct mw_client;

MW_API struct mw_client *mw_client_ref(struct mw_client *client);    /* returns its argument */
MW_API void mw_client_unref(struct mw_client *client);               /* NULL is allowed */
MW_API struct mw_bytes mw_client_id(const struct mw_client *client); /* unguessable, unique */
/* Copies the id of the user with that JSON, up to `id_size` bytes, and returns its length; 0: the
 * user has none. The id is the member "id", else "sub", if that is a non-empty string or an
 * integer: 7, 7.0, and "7" are the same id. Any thread. */
MW_API size_t mw_user_id(const char *user, size_t user_len, char *id, size_t id_size);
/* Returns the id that others see ("from", presence): mw_user_id, else a random name, which is the
 * beginning of mw_client_id. */
MW_API struct mw_bytes mw_client_user_id(const struct mw_client *client);
/* the JSON of the user; empty: anonymous */
MW_API struct mw_bytes mw_client_user(const struct mw_client *client);
/* "websocket", "sse", "poll" or "http" */
MW_API struct mw_bytes mw_client_transport(const struct mw_client *client);
/* the peer's address without port; "unix" */
MW_API struct mw_bytes mw_client_remote(const struct mw_client *client);
/* Returns the connected client with that id, with a reference for the caller, or NULL. */
MW_API struct mw_client *mw_client_find(struct mw_server *server, const char *id, size_t id_len);
/* Iterates over the connected clients that have an identity: NULL starts, NULL ends. Releases the
 * reference to `previous`, and returns one. Clients that connect in the meantime may be missed. */
MW_API struct mw_client *mw_client_next(struct mw_server *server, struct mw_client *previous);
/* Sends a message to one client. It has no id, and no channel unless one is given. 0: handed over.
 * MW_ECLOSED: it has disconnected. MW_EINVAL, MW_ETOOLARGE, MW_EUNAVAILABLE, MW_ENOMEM. */
MW_API int mw_client_send(struct mw_server *server, struct mw_client *client, const struct mw_publish *push,
                          struct mw_error *error);
/* Closes the client with a WebSocket close code, after everything that was sent. An event stream
 * ends. MW_ECLOSED, MW_EINVAL, MW_ENOMEM. */
MW_API int mw_client_close(struct mw_server *server, struct mw_client *client, int code, const char *reason);
/* Closes all clients and raw WebSockets of a user with code 4403, as mw_client_close does: event
 * streams end, polls are answered with 403, and the user leaves presence without linger. Drops the
 * user's tickets. Returns how many are closed. With a broker, does the same on the other servers, whose
 * clients are not counted. The user may connect again unless the app refuses that. */
MW_API size_t mw_server_close_user(struct mw_server *server, const char *user_id, size_t user_id_len, const char *reason);
/* Sends a message to all clients of a user, as mw_client_send does. *count (may be NULL) receives the
 * number of those that it was handed to. With a broker, the message also goes to the clients on the
 * other servers, which are not counted: each receives it once, even if the connection to the broker is
 * lost in between. Its data may then have at most MW_SEND_USER_MAX bytes. MW_EINVAL, MW_ETOOLARGE, MW_ENOMEM,
 * MW_EUNAVAILABLE (too many wait for the broker), MW_ECLOSED: it was not sent. */
enum { MW_SEND_USER_MAX = 64 << 10 };
MW_API int mw_server_send_user(struct mw_server *server, const char *user_id, size_t user_id_len, const struct mw_publish *push,
                               size_t *count, struct mw_error *error);
/* Ends the subscriptions of all clients of a user to a channel, as mw_client_unsubscribe does; with a
 * broker, also on the other servers. 0: also if the user has none. MW_ENOTFOUND, MW_EINVAL, MW_ENOMEM,
 * MW_EUNAVAILABLE, MW_ECLOSED. */
MW_API int mw_server_kick_user(struct mw_server *server, const char *user_id, size_t user_id_len, const char *channel,
                               size_t channel_len, const char *code, const char *reason);
/* A lease, for what only one server of a cluster does at a time. */
enum mw_lease_step {
  MW_LEASE_TAKE, /* unless another holder has it */
  MW_LEASE_KEEP, /* for longer; often enough, or another server takes it */
  MW_LEASE_END   /* it is not needed any more. Also after a failure: whether it is taken is unknown then */
};
struct mw_lease {
  struct mw_bytes name; /* of the cluster's leases */
  uint64_t holder;      /* from mw_server_lease_holder, for each MW_LEASE_TAKE */
  enum mw_lease_step step;
  uint64_t ms; /* for which no other holder may take it, from the call on */
};
/* Returns a new number each time. */
MW_API uint64_t mw_server_lease_holder(struct mw_server *server);
/* Takes, keeps, or ends a lease. MW_PENDING: `on_done` (may be NULL) is called once, on the server's
 * thread. With 0, the lease is the holder's if `left_ms` is 0; otherwise, another holder has it for
 * `left_ms`. A negative status means that the outcome is unknown. 0: without a broker, every lease is the
 * server's. MW_ECLOSED (the server is stopping), MW_EUNAVAILABLE, MW_ENOMEM. When the server stops, up to
 * 64 leases that have not ended become free. If the broker loses data, two servers may have the same
 * lease. */
MW_API int mw_server_lease(struct mw_server *server, const struct mw_lease *lease,
                           void (*on_done)(void *context, int status, uint64_t left_ms), void *context);
enum { MW_TICKET_LEN = 32 };
/* Makes a text that identifies a user once, as ?ticket= in the URL of a stream, a poll, or a
 * WebSocket. `user` is a JSON object. It is valid for `valid_ms` (at most an hour). If the app
 * verifies tokens and the user has the member "exp", the client is closed at that time. `ticket`
 * receives the text, which is not terminated. MW_EINVAL: malformed user or time, or the app does not
 * authenticate. MW_ETOOLARGE: the user exceeds limits.message_size. MW_EUNAVAILABLE: there are
 * 100,000 tickets. MW_ENOMEM. */
MW_API int mw_server_ticket(struct mw_server *server, const char *user, size_t user_len, uint64_t valid_ms,
                            char ticket[MW_TICKET_LEN], struct mw_error *error);
/* mw_client_subscribe subscribes the client without MW_REQUEST_AUTHORIZE. The other requests of a
 * subscription follow; if one of them is refused, the subscription ends. mw_client_unsubscribe ends
 * a subscription; the client receives "moonwire:unsubscribed" with the code and the reason.
 * MW_ECLOSED, MW_ENOTFOUND, MW_EINVAL, MW_ENOMEM. */
MW_API int mw_client_subscribe(struct mw_server *server, struct mw_client *client, const char *channel, size_t channel_len);
MW_API int mw_client_unsubscribe(struct mw_server *server, struct mw_client *client, const char *channel, size_t channel_len,
                                 const char *code, const char *reason);
/* Returns the app's context pointer for the client, NULL at first. */
MW_API void *mw_client_context(const struct mw_client *client);
/* Sets it. `on_free` (may be NULL) is called with it, on any thread of the server, when the client is
 * freed or the pointer is replaced. */
MW_API void mw_client_set_context(struct mw_client *client, void *context, void (*on_free)(void *context));

/* ---- Requests to the app --------------------------------------------------------------------- */

/* The types of requests: the question, the answers, and what the request has. */
enum mw_request_type {
  MW_REQUEST_AUTHENTICATE, /* identify a client: accept(user as JSON, or nothing) or refuse. http */
  MW_REQUEST_AUTHORIZE,    /* may the client subscribe? accept() or refuse. client, channel */
  /* before the first subscription, never beside CLOSE: accept() or refuse. channel */
  MW_REQUEST_OPEN,
  /* a client subscribes: accept(JSON for the acknowledgement) or refuse. client, channel */
  MW_REQUEST_JOIN,
  MW_REQUEST_LEAVE, /* it has left, after an accepted JOIN: accept(). client, channel */
  MW_REQUEST_CLOSE, /* the last has left and linger has passed: accept(). channel */
  MW_REQUEST_HTTP,  /* a route: respond. http, route */
  /* a client sent an event: accept(JSON, or nothing) or refuse. client, channel, message */
  MW_REQUEST_MESSAGE,
  MW_REQUEST_CONNECT, /* a client has connected: accept() or refuse. client */
  /* it has disconnected, after an accepted CONNECT: accept(). client, reason */
  MW_REQUEST_DISCONNECT,
  MW_REQUEST_STREAM, /* a raw stream: mw_request_stream or respond. http, route */
  /* a client is slow because of a message of the channel: accept(). client, channel */
  MW_REQUEST_SLOW,
  /* a user becomes a member: accept(info as JSON) or refuse. client, channel */
  MW_REQUEST_PRESENCE,
  /* a raw WebSocket: mw_request_websocket, respond, or refuse. client, http, route */
  MW_REQUEST_WEBSOCKET,
  /* its message, one at a time: accept(), or refuse: closes with 1011, or with 1008 and the reason
   * if the status is below 500. socket, client, route, message */
  MW_REQUEST_SOCKET_MESSAGE,
  MW_REQUEST_SOCKET_CLOSE /* its end, once: accept(). socket, client, route, reason, close code */
};

struct mw_http_field {
  struct mw_bytes name, value;
};

/* An HTTP request. */
struct mw_http {
  struct mw_bytes method;
  struct mw_bytes path;  /* percent-decoded UTF-8 */
  struct mw_bytes query; /* as sent, without '?' */
  struct mw_bytes body;
  struct mw_bytes remote; /* the client's address without port; "unix" */
  struct mw_bytes scheme; /* "http" or "https", by which the client has connected */
  /* the peer is a trusted proxy: headers that it sets can be trusted */
  bool is_by_proxy;
  /* in "connect", else in Authorization: Bearer, else in ?token=; empty: none */
  struct mw_bytes token;
  struct mw_bytes ticket; /* in ?ticket= (mw_server_ticket); empty: none */
  const struct mw_http_field *fields;
  size_t field_count;
};

MW_API enum mw_request_type mw_request_type(const struct mw_request *request);
/* borrowed; NULL if the type has none */
MW_API struct mw_client *mw_request_client(const struct mw_request *request);
/* empty if the type has none */
MW_API struct mw_bytes mw_request_channel(const struct mw_request *request);
/* the channel's kind, or the route; -1 if none */
MW_API int mw_request_kind(const struct mw_request *request);
/* NULL if the type has none */
MW_API const struct mw_http *mw_request_http(const struct mw_request *request);
struct mw_message {
  struct mw_bytes event;
  struct mw_bytes data; /* JSON as sent; on a raw WebSocket any text; empty if it is binary */
  struct mw_bytes binary;
  bool is_binary;
};
/* NULL if the type has none */
MW_API const struct mw_message *mw_request_message(const struct mw_request *request);
/* Frees the message before the answer, when the app has copied what it needs. */
MW_API void mw_request_drop_message(struct mw_request *request);
/* For MW_REQUEST_DISCONNECT: "closed", "reset", "protocol", "timeout", "slow", "app", "expired",
 * "stopping", or "failed", and after a space the close code, if there is one. For MW_REQUEST_SOCKET_CLOSE: the
 * reason of the close frame. Otherwise empty. */
MW_API struct mw_bytes mw_request_reason(const struct mw_request *request);
MW_API bool mw_request_cancelled(const struct mw_request *request);
/* Return and set the app's context pointer for the request, NULL at first. */
MW_API void *mw_request_context(const struct mw_request *request);
MW_API void mw_request_set_context(struct mw_request *request, void *context);

/* Answers. After an answer, the app must not use `request`. Safe inside on_request. */

/* Accepts. `data` is JSON or empty. MW_EINVAL: invalid JSON, and the request counts as failed. */
MW_API int mw_request_accept(struct mw_request *request, const char *data, size_t data_len);
/* Refuses with an HTTP status, a code of the protocol ("forbidden"), and a reason for the client.
 * 429 and 503 are temporary: an event stream receives 200, a retry, and its end; a WebSocket is
 * closed with 1013. */
MW_API void mw_request_refuse(struct mw_request *request, int status, const char *code, const char *reason);
/* Reports a failure of the app. The code is "internal". For a client that connects or subscribes,
 * this is a temporary refusal (503). A message or a route, which may have been carried out in part,
 * is answered with 500. */
MW_API void mw_request_fail(struct mw_request *request);

struct mw_response {
  int status; /* 200-599 */
  struct mw_bytes body;
  struct mw_bytes content_type; /* empty: none */
  const struct mw_http_field *fields;
  size_t field_count;
};
/* Answers MW_REQUEST_HTTP, MW_REQUEST_STREAM, and MW_REQUEST_WEBSOCKET. MW_EINVAL: the status, or a
 * field that is malformed or that the core writes itself (Content-Length, Transfer-Encoding,
 * Connection, Date). The client then receives 500. */
MW_API int mw_request_respond(struct mw_request *request, const struct mw_response *response, struct mw_error *error);

/* ---- Forms ----------------------------------------------------------------------------------- */

/* The fields of a form that a page has posted. */
struct mw_form;
struct mw_form_field {
  struct mw_bytes name;  /* may be other than UTF-8, like the others */
  struct mw_bytes value; /* of a file, its content */
  bool is_file;
  struct mw_bytes filename;     /* of a file, as the page states it: not a safe path; may be empty */
  struct mw_bytes content_type; /* of a file, as the page states it; may be empty */
};
enum { MW_FORM_FIELDS_MAX = 1000 };
/* Reads the body of a request as its Content-Type states: application/x-www-form-urlencoded, or
 * multipart/form-data (RFC 7578). The caller owns the form, which borrows the body. MW_EINVAL:
 * another type, or malformed. MW_ELIMIT: more than MW_FORM_FIELDS_MAX fields. MW_ENOMEM. Any
 * thread. */
MW_API int mw_form_read(struct mw_form **form, const struct mw_http *http, struct mw_error *error);
/* Returns the i-th field, in the order of the page, or NULL after the last. A name may occur more
 * than once. */
MW_API const struct mw_form_field *mw_form_field(const struct mw_form *form, size_t i);
MW_API void mw_form_free(struct mw_form *form); /* NULL is allowed */

/* ---- Raw event streams ----------------------------------------------------------------------- */

struct mw_stream;

/* Answers MW_REQUEST_STREAM: starts the stream. `head` has its status, which must allow a body, and
 * its fields; NULL: 200, without further fields. The body and the content type of `head` must be
 * empty. A field replaces that of the same name that every stream has, except Content-Type. The
 * caller owns one reference. `on_close` (may be NULL) is called once, when the peer has disconnected
 * or the stream was closed. MW_ENOMEM; MW_ECLOSED: already disconnected. MW_EINVAL: the head cannot
 * be sent, see mw_request_respond; then the request has not been answered. */
MW_API int mw_request_stream(struct mw_request *request, const struct mw_response *head, struct mw_stream **stream,
                             void (*on_close)(void *context), void *context, struct mw_error *error);
enum { MW_STREAM_ID_MAX = 1024 }; /* bytes of an event's id */
struct mw_stream_event {
  struct mw_bytes id;    /* ptr NULL: none; empty: the client forgets the last one */
  struct mw_bytes event; /* empty: "message" */
  struct mw_bytes data;  /* any text; ptr NULL: none */
  int64_t retry_ms;      /* negative: none */
};
/* Sends one event. Beyond limits.outbox, the stream is closed. MW_ECLOSED, MW_ENOMEM. MW_EINVAL:
 * CR, LF, or NUL in event, text that is not UTF-8, or an id that a client cannot send as
 * Last-Event-ID: at most MW_STREAM_ID_MAX printable ASCII characters (and a quarter of
 * limits.head), without a space at either end. */
MW_API int mw_stream_send(struct mw_stream *stream, const struct mw_stream_event *event);
/* Ends the stream after everything that was sent. Idempotent. */
MW_API void mw_stream_close(struct mw_stream *stream);

struct mw_follow;
struct mw_follow_options {
  struct mw_bytes channel;
  struct mw_bytes since; /* the messages after this id; ptr NULL, or "0": all that are kept */
  bool until_final;      /* ends with the final message of the channel */
};
/* The stream becomes a subscriber of a channel: it sends the messages that the channel keeps after
 * `since`, and those that are published to it, each with its id, in order, without losing one or
 * sending one twice. No hook is called, so the app itself decides who may read the channel. Where
 * messages are missing, the event moonwire:gap is sent. A client that reads too slowly is treated as
 * the channel's policy says. `on_done` is called once, with 0 when the final message was sent, with
 * MW_ECLOSED when the stream has ended, or with MW_EUNAVAILABLE; not before this function returns,
 * and not after mw_follow_unref. The caller owns one reference. MW_EINVAL: not a name. MW_ENOTFOUND:
 * no pattern matches. MW_ELIMIT: the stream follows a channel already. MW_ECLOSED, MW_EUNAVAILABLE,
 * MW_ENOMEM. */
MW_API int mw_stream_follow(struct mw_stream *stream, const struct mw_follow_options *options, struct mw_follow **follow,
                            void (*on_done)(void *context, int status), void *context);
/* Also ends it: later messages are not sent. NULL is allowed. Call it before the server is freed. */
MW_API void mw_follow_unref(struct mw_follow *follow);
MW_API void mw_stream_unref(struct mw_stream *stream); /* also closes it; NULL is allowed */

/* ---- Raw WebSockets -------------------------------------------------------------------------- */

/* One WebSocket of a raw endpoint. Its functions return MW_ECLOSED once it has ended. Except for
 * mw_socket_unref, they must not be called after the server was freed. */
struct mw_socket;

/* Answers MW_REQUEST_WEBSOCKET: upgrades. The caller owns one reference. MW_ENOMEM; MW_ECLOSED: the
 * peer has disconnected, and there is no socket. */
MW_API int mw_request_websocket(struct mw_request *request, struct mw_socket **socket);
/* borrowed; NULL if the type has none */
MW_API struct mw_socket *mw_request_socket(const struct mw_request *request);
/* Returns the chosen subprotocol, or empty. */
MW_API struct mw_bytes mw_request_protocol(const struct mw_request *request);
/* For MW_REQUEST_SOCKET_CLOSE, returns the code of the first close frame: 1005 if it has no code,
 * 1006 if there was none. For MW_REQUEST_DISCONNECT, returns the close code, or 0 if there is none.
 * Otherwise 0. */
MW_API int mw_request_close_code(const struct mw_request *request);
/* Sends one message. Text must be UTF-8 (MW_EINVAL). 0: handed over. Beyond its outbox, the socket
 * is closed with 1013. MW_EUNAVAILABLE: exceeds limits.queue. MW_ETOOLARGE: 4 GiB. MW_ENOMEM. */
MW_API int mw_socket_send(struct mw_socket *socket, const char *data, size_t data_len, bool is_binary);
/* Sends a ping with up to 125 bytes (MW_EINVAL). The pong is not reported. */
MW_API int mw_socket_ping(struct mw_socket *socket, const char *data, size_t data_len);
/* Closes it after everything that was sent. MW_EINVAL: a code that is not allowed in a close
 * frame. */
MW_API int mw_socket_close(struct mw_socket *socket, int code, const char *reason);
/* Returns the number of bytes that were sent but are not written yet. */
MW_API size_t mw_socket_buffered(const struct mw_socket *socket);
/* Subscribes the socket to a channel, or unsubscribes it. Messages arrive as text frames in the
 * form of the native protocol. The app receives no requests for this. MW_ENOTFOUND, MW_EINVAL,
 * MW_ENOMEM. */
MW_API int mw_socket_subscribe(struct mw_socket *socket, const char *channel, size_t channel_len);
MW_API int mw_socket_unsubscribe(struct mw_socket *socket, const char *channel, size_t channel_len);
/* Returns its client, borrowed. mw_client_find and mw_client_next do not return it. */
MW_API struct mw_client *mw_socket_client(const struct mw_socket *socket);
/* Return and set the app's context pointer for it, NULL at first. */
MW_API void *mw_socket_context(const struct mw_socket *socket);
MW_API void mw_socket_set_context(struct mw_socket *socket, void *context);
/* Releases the reference. The WebSocket stays open. NULL is allowed. */
MW_API void mw_socket_unref(struct mw_socket *socket);

/* ---- Timers ---------------------------------------------------------------------------------- */

struct mw_timer;

/* Calls `on_timer` after `delay_ms`, then every `repeat_ms` (0: once). The caller owns the timer.
 * MW_ENOMEM, MW_ECLOSED. */
MW_API int mw_timer_new(struct mw_timer **timer, struct mw_server *server, uint64_t delay_ms, uint64_t repeat_ms,
                        void (*on_timer)(void *context), void *context);
/* Stops and frees the timer. Safe inside on_timer. Not after the server was freed. NULL is
 * allowed. */
MW_API void mw_timer_free(struct mw_timer *timer);

/* ---- Descriptors ----------------------------------------------------------------------------- */

struct mw_watch;

enum mw_readiness { MW_READABLE, MW_WRITABLE, MW_READABLE_OR_WRITABLE };
/* Calls `on_ready` in each event loop iteration in which a descriptor can be read, or written, or
 * has failed or ended. Makes the descriptor non-blocking. It must stay open until mw_watch_free.
 * The caller owns the watch. MW_ENOMEM; MW_ECLOSED: the server has stopped; -EEXIST: the server
 * watches it already; -EPERM: a file, which is always ready; -EBADF. */
MW_API int mw_watch_new(struct mw_watch **watch, struct mw_server *server, int fd, enum mw_readiness readiness,
                        void (*on_ready)(void *context), void *context);
/* Stops and frees the watch. Safe inside on_ready. Not after the server was freed. NULL is
 * allowed. */
MW_API void mw_watch_free(struct mw_watch *watch);

/* ---- Work on other threads --------------------------------------------------------------------- */

struct mw_work;

enum { MW_WORK_WAITING_MAX = 100 };
/* Calls `run` on a thread of libuv's pool, then `on_done` on the server's thread, exactly once: with
 * 0, or with MW_ECLOSED if it was cancelled, or the server ended, before it began. `run` must not
 * call functions of the server. Two run at the same time, so that files can still be read, and
 * MW_WORK_WAITING_MAX wait: beyond, MW_EUNAVAILABLE. MW_ENOMEM, MW_ECLOSED. on_done frees the work,
 * and is not called if this fails. */
MW_API int mw_work_start(struct mw_work **work, struct mw_server *server, void (*run)(void *context),
                         void (*on_done)(void *context, int status), void *context);
/* Calls on_done with MW_ECLOSED if the work has not begun. Otherwise has no effect. */
MW_API void mw_work_cancel(struct mw_work *work);

/* ---- Connections to other servers -------------------------------------------------------------- */

/* A connection that the app opens: TCP or a unix socket, which TLS may encrypt later. Nothing here
 * blocks. on_change reports that something has changed: the connection is open or has failed, bytes
 * were received, everything was sent, or the peer has ended. */
struct mw_connection;

enum {
  MW_CONNECTIONS_MAX = 10000,                 /* of one server */
  MW_CONNECTION_UNSENT_MAX = 64 * 1024 * 1024 /* bytes */
};

struct mw_connect_options {
  struct mw_bytes host; /* a name or an address; or the path of a unix socket */
  uint16_t port;        /* 0: `host` is a path */
  /* Called on the server's thread, and never within a function below. It may close the
   * connection. */
  void (*on_change)(void *context);
  void *context;
};

/* Begins to connect. Names are looked up on a thread of libuv's pool, and answers are used for ten
 * seconds; all addresses of a name are tried. There is no time limit: close it when it takes too
 * long. The caller closes it, before the server is freed. MW_ELIMIT: MW_CONNECTIONS_MAX.
 * MW_EINVAL: malformed name or path. MW_EUNAVAILABLE: too many names are looked up. MW_ENOMEM,
 * MW_ECLOSED, or a status of libuv. */
MW_API int mw_connect(struct mw_connection **connection, struct mw_server *server, const struct mw_connect_options *options);
/* Returns 0 if it is open, MW_PENDING while it connects or a TLS handshake is in progress, or why
 * it has failed. */
MW_API int mw_connection_status(const struct mw_connection *connection);
/* Returns why it has failed, cannot send, or has ended, as text. */
MW_API const char *mw_connection_problem(const struct mw_connection *connection);

struct mw_tls_options {
  struct mw_bytes name; /* a host name or an address, which the certificate must have */
  const char *ca_file;  /* trusted certificates (PEM), which are read once; NULL: those of the system */
  bool is_unverified;   /* any certificate is accepted, and the name may be empty */
};

/* Begins a TLS handshake (1.2 or newer): the status becomes MW_PENDING, then 0, or MW_EFORGED if it
 * has failed. MW_EINVAL: it is not open, or encrypted already, or data is on its way, or the options
 * are wrong. MW_ENOMEM. */
MW_API int mw_connection_encrypt(struct mw_connection *connection, const struct mw_tls_options *options);
enum { MW_TLS_BINDING_MAX = 64 };
/* Writes the hash of the peer's certificate that binds a login to this connection
 * (tls-server-end-point, RFC 5929), for SCRAM. Returns its length, or MW_EINVAL if it is not
 * encrypted. */
MW_API int mw_connection_tls_binding(const struct mw_connection *connection, unsigned char out[MW_TLS_BINDING_MAX]);
/* Writes the peer's certificate (DER). Returns its length; MW_ETOOLARGE; MW_EINVAL if it is not
 * encrypted. */
MW_API int mw_connection_tls_certificate(const struct mw_connection *connection, unsigned char *out, size_t size);
/* Returns what was received and not consumed yet. Valid until the next call. About 128 KiB are
 * kept; then nothing is read until some of it is consumed. */
MW_API struct mw_bytes mw_connection_received(const struct mw_connection *connection);
/* Removes the first bytes of what was received. */
MW_API void mw_connection_consume(struct mw_connection *connection, size_t len);
/* Returns 0 while more may be received. Otherwise the reason: UV_EOF, if the peer has ended its
 * side; MW_EFORGED, if TLS was cut or altered; or another status. Nothing is received after what
 * mw_connection_received returns. */
MW_API int mw_connection_ended(const struct mw_connection *connection);
/* Sends a copy of the bytes, in order. MW_ETOOLARGE: exceeds MW_CONNECTION_UNSENT_MAX, and nothing
 * was sent. MW_EINVAL: it is not open yet. MW_ENOMEM, MW_EFORGED, or a status of libuv: then nothing
 * more can be sent. */
MW_API int mw_connection_send(struct mw_connection *connection, const char *bytes, size_t len);
/* Returns the number of bytes that the system has not accepted yet. */
MW_API size_t mw_connection_unsent(const struct mw_connection *connection);
/* Replaces on_change, which may be NULL. */
MW_API void mw_connection_watch(struct mw_connection *connection, void (*on_change)(void *context), void *context);
/* Closes and frees it. What is unsent is lost. NULL is allowed. */
MW_API void mw_connection_close(struct mw_connection *connection);

/* ---- Threads of a pool's own ------------------------------------------------------------------- */

struct mw_pool;

enum { MW_POOL_THREADS_MAX = 64 };

struct mw_pool_options {
  const char *name; /* for the log; must stay until `release` */
  size_t threads;   /* 1 to MW_POOL_THREADS_MAX; each starts when it is needed */
  size_t queue;     /* jobs that may wait for a thread */
  /* Called on each thread when it starts and when it ends. What `open` returns is the `state` of
   * its jobs. Both may be NULL. */
  void *(*open)(void *context);
  void (*close)(void *state);
  /* Called when the last thread has ended, which may be after the end of the server. Any thread.
   * May be NULL. */
  void (*release)(void *context);
  void *context;
};

struct mw_job {
  const char *name;    /* for the log; must stay until `release` */
  uint64_t timeout_ms; /* time to wait for a thread and to run; 0: no limit */
  /* Called on a thread of the pool. Must not call functions of the server. */
  void (*run)(void *context, void *state);
  /* Called on the server's thread, exactly once: with 0; MW_ETIMEDOUT; or MW_ECLOSED, if it was
   * cancelled, or the pool has ended. `run` may still be running then, unless the status is 0. */
  void (*on_done)(void *context, int status);
  /* Called when neither is needed any more. Any thread. May be NULL. */
  void (*release)(void *context);
  void *context;
};

/* Creates a pool of threads, for code that may block for long. The server frees it when it is freed.
 * MW_EINVAL: the number of threads. MW_ENOMEM, MW_ECLOSED, or a status of libuv; `release` is not
 * called then. */
MW_API int mw_pool_new(struct mw_pool **pool, struct mw_server *server, const struct mw_pool_options *options);
/* Runs a job on a thread of the pool, in the order of the calls. A thread that does not return in
 * time is replaced, and ends when it does return. MW_EUNAVAILABLE: the queue is full, or twice as
 * many threads as the pool has do not return. MW_ENOMEM, or a status of libuv. No function of the
 * job is called if this fails. */
MW_API int mw_pool_run(struct mw_pool *pool, const struct mw_job *job);
/* Calls on_done of the job with that context with MW_ECLOSED if it has not begun. Otherwise has no
 * effect. */
MW_API void mw_pool_cancel(struct mw_pool *pool, const void *context);
/* Ends all jobs with MW_ECLOSED, and the pool. Waits for `limits.drain_ms` at most for threads to
 * return from their jobs. Not within on_done. NULL is allowed. */
MW_API void mw_pool_free(struct mw_pool *pool);
/* Returns whether threads of pools that have ended still run. Then the process should end by _exit:
 * exit would free what they use. Any thread. */
MW_API bool mw_pool_threads_left(void);

/* ---- Secrets --------------------------------------------------------------------------------- */

/* These functions need no server. Any thread. */

/* Fills `out` with random bytes of the system. Aborts the process if it has none. */
MW_API void mw_crypto_random(void *out, size_t len);

enum { MW_SHA256_SIZE = 32 };
/* SHA-256 (FIPS 180-4). MW_ENOMEM. */
MW_API int mw_crypto_sha256(const void *data, size_t data_len, unsigned char out[MW_SHA256_SIZE]);
/* HMAC-SHA256 (RFC 2104), with a key of any length. MW_ENOMEM, MW_ETOOLARGE. */
MW_API int mw_crypto_hmac(const void *key, size_t key_len, const void *data, size_t data_len, unsigned char out[MW_SHA256_SIZE]);
/* Hashes that protocols of databases need. Nothing new should use them. */
enum mw_old_digest { MW_DIGEST_MD5, MW_DIGEST_SHA1 };
enum { MW_OLD_DIGEST_MAX = 20, MW_PBKDF2_ROUNDS_MAX = 100000 };
/* MD5 (RFC 1321), 16 bytes, or SHA-1 (FIPS 180-4), 20 bytes. Returns the number of bytes, or
 * MW_ENOMEM. */
MW_API int mw_crypto_old_digest(enum mw_old_digest digest, const void *data, size_t data_len,
                                unsigned char out[MW_OLD_DIGEST_MAX]);
/* PBKDF2 with HMAC-SHA256 (RFC 8018), for SCRAM. MW_EINVAL: no rounds, or more than
 * MW_PBKDF2_ROUNDS_MAX, which take about 50 ms. MW_ENOMEM, MW_ETOOLARGE. */
MW_API int mw_crypto_pbkdf2(const void *password, size_t password_len, const void *salt, size_t salt_len, uint32_t rounds,
                            unsigned char out[MW_SHA256_SIZE]);
/* Returns whether both are the same, in a time that depends only on the lengths. */
MW_API bool mw_crypto_equal(const void *a, size_t a_len, const void *b, size_t b_len);

enum { MW_PASSWORD_MAX = 1024, MW_PASSWORD_HASH_SIZE = 128 };
/* Hashes a password with scrypt (RFC 7914) and a random salt. Writes text, terminated, in the form
 * "$scrypt$ln=15,r=8,p=3$<salt>$<hash>". `cost` is 10 to 18, or 0 for 15: the computation needs
 * 2^cost KiB of memory, and about 0.2 seconds with 15. MW_EINVAL: the password is empty or longer
 * than MW_PASSWORD_MAX bytes, or the cost. MW_ENOMEM. Blocks: see mw_work_start. */
MW_API int mw_crypto_password_hash(const char *password, size_t password_len, int cost, char out[MW_PASSWORD_HASH_SIZE]);
/* Returns 1 if the hash is that of the password, otherwise 0. `hash` NULL: there is no such user.
 * Then the answer is 0 after as much time as with a hash of the default cost, so that it does not
 * tell which users exist. MW_EINVAL: not a hash of this form, or one that needs more than 256 MiB.
 * MW_ENOMEM. Blocks: see mw_work_start. */
MW_API int mw_crypto_password_verify(const char *password, size_t password_len, const char *hash, size_t hash_len);

enum { MW_CRYPTO_KEY_MIN = 32 };
/* How text is sealed or signed. */
struct mw_seal {
  struct mw_bytes key;     /* a secret of at least MW_CRYPTO_KEY_MIN bytes */
  struct mw_bytes purpose; /* what it is for: opening requires the same; may be empty */
  uint64_t expires_s;      /* sealing: seconds since 1970 from which it is not valid; 0: no end */
  uint64_t now_s;          /* opening: the time, for the comparison with that */
};
/* Returns the most bytes that mw_crypto_seal and mw_crypto_sign write for a text. */
MW_API size_t mw_crypto_sealed_size(size_t text_len);
/* Return the number of bytes written to `out`, or a negative status. What they write consists of
 * characters for URLs and cookies: A-Z a-z 0-9 - _ and, if signed, one '.'.
 *
 * mw_crypto_seal encrypts (AES-256-GCM). mw_crypto_sign adds an HMAC: anyone can read the text,
 * which stands in base64url before the '.'. MW_EINVAL: the key is too short. MW_ETOOLARGE: `out` is
 * too small. MW_ENOMEM. */
MW_API int64_t mw_crypto_seal(const struct mw_seal *seal, const char *text, size_t text_len, char *out, size_t out_size);
MW_API int64_t mw_crypto_sign(const struct mw_seal *seal, const char *text, size_t text_len, char *out, size_t out_size);
/* mw_crypto_open reads what mw_crypto_seal wrote, and mw_crypto_verify what mw_crypto_sign wrote.
 * `out` needs as many bytes as were given, at most. MW_EFORGED: not made with this key for this
 * purpose, or altered. MW_EEXPIRED. MW_EINVAL, MW_ETOOLARGE, MW_ENOMEM: as above. */
MW_API int64_t mw_crypto_open(const struct mw_seal *seal, const char *sealed, size_t sealed_len, char *out, size_t out_size);
MW_API int64_t mw_crypto_verify(const struct mw_seal *seal, const char *given, size_t given_len, char *out, size_t out_size);

/* ---- Tests without sockets and without waiting ----------------------------------------------- */

/* Moves the server's time. Everything that becomes due happens at its moment and in order:
 * deadlines of connections (in whole seconds), the age of history, timers. From the first call on,
 * time moves only by this function. mw_server_step then reads and closes what follows from it. Not
 * inside a callback. */
MW_API void mw_server_advance(struct mw_server *server, uint64_t ms);
/* Steps the server until another step would do nothing. Reads of files and work are included. Returns false
 * if that does not happen within 20,000 steps, because each handler starts another one. Not with a
 * host's loop, nor inside a callback. */
MW_API bool mw_server_settle(struct mw_server *server);

/* Simulates a broker: a later step completes publishes, joins, and reads of a history by clients. So
 * a test finds code that cannot wait. Call it before the server is stepped. MW_EINVAL: the server has
 * several workers, or a broker. */
MW_API int mw_server_test_broker(struct mw_server *server);

/* The peer's end of a connection within the process. */
struct mw_memory;

/* Connects to the server, without a listener, as a peer at "memory". The caller owns the
 * connection. MW_ECLOSED: the server is stopping; MW_ENOMEM. */
MW_API int mw_connect_memory(struct mw_server *server, struct mw_memory **memory);
/* Sends bytes to the server, which reads them in its next step. MW_ECLOSED: it has closed, or
 * mw_memory_finish was called. MW_ENOMEM. */
MW_API int mw_memory_write(struct mw_memory *memory, const void *data, size_t len);
/* Reads up to `size` bytes from the server. Returns how many; 0: nothing now. The connection holds
 * 64 KiB; the rest is queued at the server, as with a slow peer. */
MW_API size_t mw_memory_read(struct mw_memory *memory, void *out, size_t size);
/* Returns whether the server has ended the connection, and everything was read. Data that was not
 * read before a reset is lost. */
MW_API bool mw_memory_ended(const struct mw_memory *memory);
/* Ends the peer's side; the server may still write. */
MW_API void mw_memory_finish(struct mw_memory *memory);
/* Closes and frees it. Allowed after the server was freed. NULL is allowed. */
MW_API void mw_memory_close(struct mw_memory *memory);

#ifdef __cplusplus
}
#endif

#endif
