/* moonwire: real-time channels over WebSocket and Server-Sent Events. The only public header of the C library.
 *
 * The core owns connections, HTTP, framing, channels, history and fan-out. The app (a C program, or the Lua binding) says what
 * the channels are (mw_config) and answers requests (mw_config_options.on_request).
 *
 * Conventions. Functions return 0 or a negative status unless they say otherwise; mw_status_text names it, codes of libuv
 * pass through. Text is UTF-8, given as pointer and length and borrowed for the call. Lengths are bytes; times are
 * milliseconds where the name ends in _ms. "borrows", "takes" (ownership moves) and "keeps" (a reference is held) are said where it
 * is not a plain borrow. A broken precondition asserts.
 *
 * Threads. A server belongs to the thread that steps it, the script thread: all functions here are called from it, and all
 * callbacks come on it, except where "any thread" is said. */
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

/* ---- Status ------------------------------------------------------------------------------------------------------------- */

enum mw_status {
  MW_OK = 0,
  MW_ENOMEM = -5001,       /* no memory */
  MW_EINVAL = -5002,       /* an argument is malformed; an error text says which */
  MW_ENOTFOUND = -5003,    /* no pattern matches the channel, or there is no such thing */
  MW_EUNAVAILABLE = -5004, /* a queue is at its limit, or the server is stopping: try again later */
  MW_ETOOLARGE = -5005,    /* over a limit in bytes */
  MW_ECLOSED = -5006,      /* the client, the stream or the server has gone */
  MW_EOVERLAP = -5007,     /* two patterns can match the same name and neither is more special */
  MW_ELIMIT = -5008        /* over a limit in number */
};

/* A constant sentence for a status, of this library or of libuv. Any thread. */
MW_API const char *mw_status_text(int status);
/* "0.1.0", as MW_VERSION when the library was built. Any thread. */
MW_API const char *mw_version(void);

struct mw_bytes {
  const char *ptr; /* not terminated; NULL only if len is 0 */
  size_t len;
};

/* What went wrong in words. Functions that take one fill it when they fail; NULL is allowed. */
struct mw_error {
  char text[256];
};

/* ---- Memory, log -------------------------------------------------------------------------------------------------------- */

/* As realloc(ptr, size); size 0 frees ptr and returns NULL. */
typedef void *(*mw_resize_fn)(void *context, void *ptr, size_t size);
/* Replaces the allocator of the whole library; before any other call of it. */
MW_API void mw_set_allocator(mw_resize_fn resize, void *context);

enum mw_log_level { MW_LOG_DEBUG, MW_LOG_INFO, MW_LOG_WARNING, MW_LOG_ERROR };
/* `text` has no line end and is terminated. Called on the thread that logs, before its call returns: for lines of a server that is the
 * thread that turns its loop. One call at a time; never on the thread of the log itself. */
typedef void (*mw_log_fn)(void *context, enum mw_log_level level, const char *text, size_t text_len);
/* Where lines of `level` and above go, for the whole process; NULL: "<time> <level> <text>" to standard error, which is the
 * default, from MW_LOG_INFO on. While a server lives, a thread of the log writes them there, so that standard error cannot hold up the
 * caller; lines that it does not take are dropped and counted. */
MW_API void mw_log_to(enum mw_log_level level, mw_log_fn sink, void *context);
/* Logs a line of the app's own. Any thread. */
MW_API void mw_log(enum mw_log_level level, const char *text, size_t text_len);

/* Something that may come as often as a peer likes. */
struct mw_log_error {
  enum mw_log_level level;
  struct mw_bytes place; /* what is limited; a file and a line, say */
  struct mw_bytes what;  /* written before the text; may be empty */
  struct mw_bytes text;
  struct mw_bytes traceback; /* further lines; may be empty */
};
/* Logs it, at most once a second for each place, with a count of what was not written; with the traceback only if
 * mw_log_error_is_new. Any thread. */
MW_API void mw_log_error(const struct mw_log_error *error);
/* True if no traceback of that error was written within a minute: ask before preparing one. */
MW_API bool mw_log_error_is_new(const char *place, size_t place_len, const char *text, size_t text_len);

/* Objects of the library that are alive in the process, and its allocations not yet freed: 0 when everything was given back. Any
 * thread. `what`: "conn", "session", "client", "request", "channel", "message", "blob", "subscription" or "memory"; -1 for another. */
MW_API int64_t mw_live(const char *what);

/* ---- What an app is ----------------------------------------------------------------------------------------------------- */

/* The definition of an app: kinds of channels, routes, limits. Built by one thread, immutable once a server has it; shared by
 * reference. */
struct mw_config;

struct mw_request;

/* Every limit has a default, which mw_limits_init sets, and a consequence. Bytes and milliseconds. */
struct mw_limits {
  size_t target;       /* request target: 414; 8192 */
  size_t head;         /* request line and fields: 431; 16384 */
  size_t fields;       /* number of fields: 431; 100 */
  size_t body;         /* request body: 413; 1 MiB */
  size_t message_size; /* JSON data of one message: 413; 64 KiB */
  size_t
      outbox; /* unsent bytes of one subscriber's messages: enum mw_slow says what happens; and of all else: it is closed; 1 MiB */
  size_t replay;          /* messages of one channel replayed to one subscriber: the newest, and a gap; 10000 */
  size_t replay_bytes;    /* likewise in bytes; 16 MiB */
  size_t history;         /* bytes of all histories together: the oldest messages go; 256 MiB */
  size_t ws_message_size; /* bytes of one WebSocket message: closed with 1009; 1 MiB */
  size_t input_backlog;   /* one client's input that is queued while a handler runs: then reading stops; 64 KiB */
  size_t queue; /* bytes that wait for a worker or the script: 503; of unfinished messages and bodies: the largest goes; 64 MiB */
  size_t connections;     /* at once: the newest is closed; what ulimit -n allows less a reserve, at most 100000 */
  size_t channels;        /* live channels: a further one cannot be subscribed to (503) nor keep messages; 1000000 */
  size_t marks;           /* channels no longer live whose last position is known exactly, 32 bytes each; 1000000 */
  size_t client_channels; /* channels of one subscriber: 400; 100 */
  size_t client_names;    /* live channels that one client has created and left: no new ones (503); 0: no limit; 10000 */
  size_t address_names;   /* live channels that clients of one address have created: no new ones (503); 0: no limit; 100000 */
  size_t address_polls;   /* clients of GET /poll?client= of one address, and their channels: 503; 0: no limit; 20000 */
  size_t waiting;         /* requests that wait for a handler at once: 503; 10000 */
  uint64_t head_ms;       /* from the first byte of a request to the end of its head: 408; 10 s */
  uint64_t body_ms;       /* from the head to the end of the body: 408; 30 s */
  uint64_t message_ms;    /* from the first byte of a WebSocket message to its end: closed with 1008; 30 s */
  uint64_t idle_ms;       /* a kept-alive connection between requests: closed; 75 s */
  uint64_t answer_ms;     /* a request waits for its handler: cancelled, 503; 30 s */
  uint64_t heartbeat_ms;  /* a stream is silent: a comment is sent; 15 s */
  uint64_t connect_ms;    /* from the upgrade to "connect" of a moonwire.1 client: closed with 4408; 10 s */
  uint64_t ping_ms;       /* a WebSocket peer is silent: it is pinged; 25 s */
  uint64_t pong_ms;       /* and does not answer: closed; 10 s */
  uint64_t progress_ms;   /* a peer takes no byte of what is to be written: closed; 30 s */
  uint64_t drain_ms;      /* stopping waits for what is being written; 5 s */

  uint64_t poll_ms;        /* GET /poll waits at most so long, whatever it asks for; 30 s */
  uint64_t poll_client_ms; /* a client of GET /poll?client= does not poll: it has gone; 30 s */
};
MW_API void mw_limits_init(struct mw_limits *limits);

/* Called on the script thread with a request that the app must answer, now or later, exactly once. */
typedef void (*mw_request_fn)(void *context, struct mw_request *request);

/* Compression of WebSockets (permessage-deflate), for clients that offer it. Zeroed: on, each message for itself, so that what is published is
 * compressed once for all and an idle connection holds no memory for it. */
struct mw_deflate_options {
  bool is_off;
  bool
      server_takeover; /* the server may refer to messages before: smaller, but each connection compresses for itself and holds up to 256 KiB */
  bool client_takeover; /* likewise the client: each connection holds a window of about 40 KiB */
  size_t min;           /* bytes from which a message is compressed, up to 1 MiB; 0: 256 */
};

struct mw_config_options {
  struct mw_limits limits;           /* mw_limits_init first */
  bool authenticate;                 /* ask MW_REQUEST_AUTHENTICATE for every new client; otherwise all are anonymous */
  bool connects;                     /* ask MW_REQUEST_CONNECT when a client has connected */
  bool disconnects;                  /* and MW_REQUEST_DISCONNECT when it has gone */
  struct mw_deflate_options deflate; /* of path_ws */
  const char *publish_key;           /* what POST /publish asks for as Bearer token; NULL: /publish answers 404 */
  const char *path_sse;              /* NULL: "/sse"; "" turns the endpoint off; likewise the others */
  const char *path_ws;               /* NULL: "/ws" */
  const char *path_send;             /* NULL: "/send" */
  const char *path_publish;          /* NULL: "/publish" */
  const char *path_health;           /* NULL: "/health" */
  const char *path_poll;             /* NULL: "/poll" */
  const char *path_client;           /* NULL: "/moonwire.js": the browser client, which is part of the library */
  mw_request_fn on_request;          /* may be NULL if nothing ever asks */
  mw_request_fn
      on_cancel; /* whoever asked has gone, or waited too long: finish soon. The answer is still owed, and ignored. May be NULL */
  void *context; /* given to both */
};
/* Zeroes it and sets the limits' defaults. */
MW_API void mw_config_options_init(struct mw_config_options *options);

/* Copies the options. The caller owns one reference. MW_ENOMEM, MW_EINVAL. */
MW_API int mw_config_new(struct mw_config **config, const struct mw_config_options *options, struct mw_error *error);
MW_API void mw_config_unref(struct mw_config *config); /* NULL is allowed */

/* Which hooks a kind of channel has; the others are never asked. */
enum mw_hook {
  MW_HOOK_AUTHORIZE = 1 << 0,
  MW_HOOK_OPEN = 1 << 1,
  MW_HOOK_JOIN = 1 << 2,
  MW_HOOK_LEAVE = 1 << 3,
  MW_HOOK_CLOSE = 1 << 4,
  MW_HOOK_SLOW = 1 << 5,
  MW_HOOK_PRESENCE = 1 << 6 /* with presence: what is told of a member */
};

/* What happens when more messages would wait for a subscriber than may (mw_channel_options.outbox), or one waits too long (age_ms). It is
 * never cut without a word, and nobody else is held up. */
enum mw_slow {
  MW_SLOW_DEFAULT, /* MW_SLOW_CATCHUP with history, MW_SLOW_CLOSE without */
  MW_SLOW_CLOSE,   /* it is closed: a WebSocket with 1013, an event stream by its end; it may return with its last id */
  MW_SLOW_CATCHUP, /* what waits is let go, and read from the histories when it takes something again; "moonwire:gap" if they have moved on */
  MW_SLOW_DROP,  /* what waits and what follows is let go until it takes something again; then "moonwire:gap" */
  MW_SLOW_LATEST /* of what waits and what follows, the newest by key is kept (mw_publish.key) */
};
/* While a subscriber is slow, volatile messages are let go (except with MW_SLOW_LATEST), and if one of its channels says MW_SLOW_CLOSE it is
 * closed, since what is of one connection keeps its order over all its channels. */

/* An event that clients may send to a channel. */
struct mw_event_rule {
  const char *event;
  bool relay; /* goes to all other subscribers without asking the app; otherwise MW_REQUEST_MESSAGE */
  bool keep;  /* relayed as an ordinary message, with id and history; otherwise volatile */
};

/* Whether the users of a channel are told of each other ("moonwire:presence"). */
enum mw_presence {
  MW_PRESENCE_NONE,
  MW_PRESENCE_FULL,  /* who is there, who joined, who left */
  MW_PRESENCE_COUNTS /* how many they are */
};

struct mw_channel_options {
  unsigned hooks;                     /* of enum mw_hook */
  const struct mw_event_rule *events; /* copied; what clients send besides is answered unknown_event */
  size_t event_count;
  uint32_t history_size;   /* messages kept; 0: no history */
  uint64_t history_bytes;  /* what they may hold, with their encoded forms; 0: any number */
  uint64_t history_ttl_ms; /* how long they are kept; 0: for ever */
  uint32_t history_replay; /* how many of the newest a subscriber without a cursor gets */
  bool history_readable;   /* subscribers may ask for it: the verb "history" */
  enum mw_slow slow;       /* MW_SLOW_CATCHUP needs history */
  size_t outbox;           /* unsent bytes of a subscriber beyond which it is slow; 0: limits.outbox */
  uint64_t age_ms;         /* how long a message may wait for it, looked at when the next one comes; 0: as long as it lasts */
  uint64_t linger_ms;      /* from the last leave to MW_REQUEST_CLOSE */
  enum mw_presence presence;
  uint64_t presence_linger_ms;   /* from a user's last connection to having left: a return within it is no event */
  uint64_t presence_interval_ms; /* changes are announced together, at most once in that time */
  size_t members;                /* users at once: a further one is refused; 0: 100000 */
};

/* Adds a kind of channel and returns its index (0, 1, …). Patterns: segments divided by ':' or '/', each a literal or one capture
 * "{name}", which is non-empty and never matches ':' or '/'. MW_EINVAL: a malformed pattern or option; MW_EOVERLAP: a name could match
 * this one and another, and neither is literal wherever they differ; MW_ENOMEM. */
MW_API int mw_config_channel(struct mw_config *config, const char *pattern, const struct mw_channel_options *options,
                             struct mw_error *error);

/* Adds a route and returns its number, which is no kind's. `method` is GET, POST, PUT, PATCH, DELETE or OPTIONS (HEAD is answered by GET's
 * route; OPTIONS by the server, preflights of listed origins included, unless the path has a route for it). Patterns are those of channels, with
 * a leading '/', divided by '/' alone; the last segment may be a catch-all "{name...}", which takes the rest of the path, also if that is
 * empty, and gives way to every other route. MW_EINVAL, MW_EOVERLAP, MW_ENOMEM. */
MW_API int mw_config_route(struct mw_config *config, const char *method, const char *pattern, struct mw_error *error);
/* Adds a raw event stream at GET `pattern`, numbered with the routes: MW_REQUEST_STREAM. */
MW_API int mw_config_stream(struct mw_config *config, const char *pattern, struct mw_error *error);
/* What a raw WebSocket endpoint is; zeroes say that the app's limits hold. */
struct mw_websocket_options {
  const char *const
      *protocols; /* subprotocols that are spoken, the best first: the first that the client offers too is chosen, else none */
  size_t protocol_count;
  const char *const *origins; /* as mw_config_origin; none: the app's */
  size_t origin_count;
  size_t message_size; /* bytes of one message: closed with 1009; 0: limits.ws_message_size */
  size_t frame_size;   /* bytes of one frame, likewise; 0: as message_size */
  size_t outbox;       /* unsent bytes: closed with 1013; 0: limits.outbox */
  uint64_t ping_ms;    /* it is silent: pinged; 0: limits.ping_ms */
  uint64_t pong_ms;    /* and does not answer: closed; 0: limits.pong_ms */
  struct mw_deflate_options deflate;
};
MW_API void mw_websocket_options_init(struct mw_websocket_options *options);
/* Adds a raw WebSocket endpoint at GET `pattern`, numbered with the routes: MW_REQUEST_WEBSOCKET. Copies the options. MW_EINVAL, MW_EOVERLAP,
 * MW_ENOMEM. */
MW_API int mw_config_websocket(struct mw_config *config, const char *pattern, const struct mw_websocket_options *options,
                               struct mw_error *error);
/* Serves the files of a directory under a path ("/" or "/assets"), behind all endpoints and routes. MW_EINVAL: no such directory. */
MW_API int mw_config_static(struct mw_config *config, const char *path, const char *directory, struct mw_error *error);
/* Allows a further origin: "https://a.example", one label and more below a domain ("https://" "*.b.example"), or "*" for every
 * one. The same origin is always allowed. MW_EINVAL. */
MW_API int mw_config_origin(struct mw_config *config, const char *origin, struct mw_error *error);

/* The kind whose pattern matches the name, or MW_ENOTFOUND, or MW_EINVAL for a name that is no channel name (error says why). */
MW_API int mw_config_match(const struct mw_config *config, const char *name, size_t name_len, struct mw_error *error);
/* The captures of a name of that kind (or of a path of the route of that number): the i-th name and value. 0, or MW_ENOTFOUND past the last. Values
 * point into `name`. */
MW_API int mw_config_param(const struct mw_config *config, int kind, const char *name, size_t name_len, size_t i,
                           struct mw_bytes *param_name, struct mw_bytes *param_value);

/* ---- Server ------------------------------------------------------------------------------------------------------------- */

struct mw_server;

struct mw_server_options {
  struct mw_config *config; /* kept */
  void *loop;               /* a uv_loop_t of the host, which then runs it; NULL: the server has a loop of its own */
  /* To continue the ids of an earlier server, whose clients then get no gap if they have missed nothing: the
   * epoch (an id's first 8 characters) and the number of its newest id. NULL and 0: a new epoch. */
  const char *epoch;
  uint64_t position;
};

/* Ignores SIGPIPE if the process has no mind of its own about it. MW_ENOMEM, MW_EINVAL (epoch, position) or a status of libuv. */
MW_API int mw_server_new(struct mw_server **server, const struct mw_server_options *options, struct mw_error *error);

struct mw_listen_options {
  bool is_private;    /* for operators: once there is one, /publish is served only there */
  unsigned unix_mode; /* permissions of a unix socket; 0: 0660 */
};

/* Listens at "HOST:PORT" ("[::1]:8080"; port 0 picks one) or "unix:PATH" (a stale socket is removed, a live one is MW_EINVAL).
 * `options` may be NULL. */
MW_API int mw_server_listen(struct mw_server *server, const char *address, const struct mw_listen_options *options,
                            struct mw_error *error);
/* The i-th listener's address as mw_server_listen takes it, with the port that was picked; NULL past the last. Borrowed. */
MW_API const char *mw_server_address(const struct mw_server *server, size_t i);

/* Runs the loop until a stop has completed. Not with a host's loop. */
MW_API int mw_server_run(struct mw_server *server);
/* One turn without waiting; true while the server has not stopped. Not with a host's loop, nor inside a callback. */
MW_API bool mw_server_step(struct mw_server *server);
/* A descriptor that is readable when a step has something to do, and the milliseconds until it does anyway (-1: never). After
 * mw_server_advance: the milliseconds by which time must be moved until something falls due. */
MW_API int mw_server_fd(const struct mw_server *server);
MW_API int mw_server_timeout(const struct mw_server *server);

/* Stops: listeners close, requests that wait are cancelled, streams end, then on_stopped (may be NULL) is called from the loop. A
 * second call is ignored. Safe inside callbacks. */
MW_API void mw_server_stop(struct mw_server *server, void (*on_stopped)(void *context), void *context);
/* The code with which WebSockets are closed when the server stops: 1001 (going away), unless this says otherwise, such as 1012 (restart).
 * MW_EINVAL for one that a close frame may not have. */
MW_API int mw_server_close_code(struct mw_server *server, int code);
/* Stops at once whatever is left and frees. Not inside a callback; with a host's loop only after on_stopped. NULL is allowed. */
MW_API void mw_server_free(struct mw_server *server);

/* Watches a signal of the process on the loop; an earlier watch of it is replaced. At most 8 signals: MW_ELIMIT. Statuses of libuv. */
MW_API int mw_server_on_signal(struct mw_server *server, int signum, void (*on_signal)(void *context, int signum), void *context);

/* Code of the app begins, or ends, on the thread that turns the loop. What takes longer than a second is named in the log: at its end and,
 * on standard error, by the log's thread while it runs. `describe` writes the name, terminated; it is called on the log's thread as well,
 * until mw_handler_end returns, so it may read only what does not change meanwhile. Does not nest. */
MW_API void mw_handler_begin(struct mw_server *server, void (*describe)(void *context, char *text, size_t size), void *context);
MW_API void mw_handler_end(struct mw_server *server);

/* Milliseconds since 1970 as the server sees time. */
MW_API uint64_t mw_server_time(const struct mw_server *server);

struct mw_stats {
  uint64_t connections;   /* now */
  uint64_t accepted;      /* so far, likewise all below */
  uint64_t requests;      /* HTTP requests */
  uint64_t published;     /* messages */
  uint64_t delivered;     /* messages handed to subscribers */
  uint64_t slow;          /* times that a subscriber became slow */
  uint64_t slow_closed;   /* subscribers that were closed for it */
  uint64_t slow_dropped;  /* messages let go for good, for one subscriber each: drop, and volatile ones */
  uint64_t slow_replaced; /* messages that gave way to a newer one of their key: latest */
  uint64_t dead_closed;   /* peers that took nothing for too long */
  uint64_t deflated;      /* times a message was compressed */
  uint64_t gaps;          /* moonwire:gap events sent */
  uint64_t subscriptions; /* now */
  uint64_t channels;      /* now */
  uint64_t history_bytes; /* now: what all histories hold */
  uint64_t evicted;       /* messages let go because of limits.history */
  uint64_t marks;         /* now: of channels that are no longer live, up to limits.marks */
  uint64_t floor_gaps;    /* of the gaps, those that may be none: the mark of the channel had been dropped, over limits.marks */
  uint64_t polls;         /* GET /poll answered with 200 */
  uint64_t poll_clients;  /* now: clients of GET /poll?client= */
};
MW_API void mw_server_stats(const struct mw_server *server, struct mw_stats *stats);

/* ---- Publishing --------------------------------------------------------------------------------------------------------- */

enum { MW_ID_MAX = 32 }; /* bytes of an id with its NUL */

struct mw_publish {
  struct mw_bytes channel;
  struct mw_bytes event;          /* empty: "message" */
  struct mw_bytes data;           /* JSON; empty: null. With is_binary: any bytes */
  bool is_volatile;               /* no id, not kept */
  bool is_binary;                 /* data is any bytes: WebSocket clients get them behind the object, others as "base64" */
  const struct mw_client *except; /* a client that does not get it live; NULL: none */
  struct mw_bytes key;            /* what it is about, up to 255 bytes, for MW_SLOW_LATEST; may be empty */
  bool
      is_final; /* the last of its channel: "moonwire:end" follows it. WebSocket clients are unsubscribed, event streams end with the last of
                    their channels, and a return to one that was seen to its end is answered 204. A later publish restarts the channel */
};

/* Publishes. `id` (NULL allowed) receives the message's id, empty if it is volatile. Any thread.
 *
 * If it fails, the message went nowhere. MW_EINVAL: a malformed name, event, key or JSON, or a final message that is volatile; MW_ENOTFOUND: no
 * pattern matches; MW_ETOOLARGE: over limits.message_size; MW_EUNAVAILABLE: over limits.queue, or stopped, or the channel has a history that cannot be
 * kept because limits.channels is reached; MW_ENOMEM. Other threads than the server's are not told of the last two: a history that cannot keep
 * what they publish has a gap, which is announced to clients that return. */
MW_API int mw_publish(struct mw_server *server, const struct mw_publish *publish, char id[MW_ID_MAX], struct mw_error *error);

/* A part of a channel's history: what lies between two ids (NULL: open), at most `limit` messages. */
struct mw_history_query {
  const char *since;  /* after this id, the oldest first; NULL: the newest */
  const char *before; /* before this id */
  size_t limit;       /* 0: 100 */
};
/* A message that is kept. Everything holds for the call. */
struct mw_kept {
  struct mw_bytes id, event, data, from, key; /* data: JSON, or any bytes if is_binary; from: a user's id, or empty */
  bool is_binary;
  uint64_t age_ms; /* since it was published */
};
/* Calls `on_message` with each, in the order in which they were published; *more (NULL allowed) says that there are others beyond the limit. 0,
 * MW_EINVAL: an id that is not well-formed. One of another epoch is before everything. */
MW_API int mw_channel_history(struct mw_server *server, const char *name, size_t name_len, const struct mw_history_query *query,
                              void (*on_message)(void *context, const struct mw_kept *message), void *context, bool *more,
                              struct mw_error *error);

/* Subscriptions of a channel now; 0 if there is none. *exists (NULL allowed): it has subscribers or history. */
MW_API size_t mw_channel_count(struct mw_server *server, const char *name, size_t name_len, bool *exists);

/* A user in a channel with presence. */
struct mw_member {
  struct mw_bytes user_id;
  struct mw_bytes info; /* JSON */
  size_t connections;   /* 0: the last has gone, and its linger is not over */
};
/* A part of the members, in the order of their ids (byte by byte, as they are written in JSON). */
struct mw_presence_query {
  struct mw_bytes after; /* begin after this user id, who need not be a member; empty: at the first */
  size_t limit;          /* members at most; 0: all */
};
/* Hands the members of a channel now to on_member (NULL allowed), which must not call back; query NULL: all. Returns how many there are in
 * all. *more (NULL allowed) receives whether others follow. */
MW_API size_t mw_channel_presence(struct mw_server *server, const char *name, size_t name_len,
                                  const struct mw_presence_query *query,
                                  void (*on_member)(void *context, const struct mw_member *member), void *context, bool *more);

/* ---- Clients ------------------------------------------------------------------------------------------------------------ */

/* Who is behind a connection: an immutable identity that outlives the connection while somebody refers to it. */
struct mw_client;

MW_API struct mw_client *mw_client_ref(struct mw_client *client);    /* returns its argument */
MW_API void mw_client_unref(struct mw_client *client);               /* NULL is allowed */
MW_API struct mw_bytes mw_client_id(const struct mw_client *client); /* unguessable, unique */
/* What others are told of it ("from", presence): the user's "id", else "sub", else a name of the client's own, which is not its id. */
MW_API struct mw_bytes mw_client_user_id(const struct mw_client *client);
MW_API struct mw_bytes mw_client_user(const struct mw_client *client);      /* the JSON that authenticated it; empty: anonymous */
MW_API struct mw_bytes mw_client_transport(const struct mw_client *client); /* "websocket", "sse", "poll" or "http" */
MW_API struct mw_bytes mw_client_remote(const struct mw_client *client);    /* the peer's address without port; "unix" */
/* The client that is connected under that id; the caller owns a reference. NULL if there is none. */
MW_API struct mw_client *mw_client_find(struct mw_server *server, const char *id, size_t id_len);
/* Walks the connected clients that have an identity: NULL starts, NULL ends. Gives up the reference to `previous` and returns one. Clients that come
 * meanwhile may be missed. */
MW_API struct mw_client *mw_client_next(struct mw_server *server, struct mw_client *previous);
/* Sends to one client: a push without id, and without channel unless one is given. 0: handed over. MW_ECLOSED: it is known to have gone;
 * MW_EINVAL, MW_ETOOLARGE, MW_EUNAVAILABLE, MW_ENOMEM. */
MW_API int mw_client_send(struct mw_server *server, struct mw_client *client, const struct mw_publish *push,
                          struct mw_error *error);
/* Closes it with a WebSocket close code (SSE: the stream ends) after what was sent. MW_ECLOSED, MW_EINVAL. */
MW_API int mw_client_close(struct mw_server *server, struct mw_client *client, int code, const char *reason);
/* Subscribes it, without asking the app, or ends a subscription ("moonwire:unsubscribed" with code and reason tells the client). MW_ECLOSED,
 * MW_ENOTFOUND, MW_EINVAL, MW_ENOMEM. */
MW_API int mw_client_subscribe(struct mw_server *server, struct mw_client *client, const char *channel, size_t channel_len);
MW_API int mw_client_unsubscribe(struct mw_server *server, struct mw_client *client, const char *channel, size_t channel_len,
                                 const char *code, const char *reason);
/* The app's own word for the client, NULL at first. */
MW_API void *mw_client_context(const struct mw_client *client);
/* Sets it; `on_free` (NULL allowed) is called with it, on the script thread, when the client is freed or gets another word. */
MW_API void mw_client_set_context(struct mw_client *client, void *context, void (*on_free)(void *context));

/* ---- Requests to the app ------------------------------------------------------------------------------------------------- */

enum mw_request_type {
  MW_REQUEST_AUTHENTICATE, /* who is this? accept(user JSON or nothing) or refuse. Has http */
  MW_REQUEST_AUTHORIZE,    /* may this client subscribe? accept() or refuse. Has client, channel */
  MW_REQUEST_OPEN, /* the first subscriber comes: accept() or refuse; one at a time per channel, never beside CLOSE. Has channel */
  MW_REQUEST_JOIN, /* a client subscribes: accept(JSON that rides on the acknowledgement, or nothing) or refuse. Has client, channel */
  MW_REQUEST_LEAVE, /* it has left: accept(). Has client, channel. Follows a JOIN that was accepted (or that the kind does not have) */
  MW_REQUEST_CLOSE, /* the last one left and linger is over: accept(). Has channel */
  MW_REQUEST_HTTP,  /* a route was asked for: respond. Has http, route */
  MW_REQUEST_MESSAGE, /* a client sent an event: accept(JSON that acknowledges, or nothing) or refuse. Has client, channel, message */
  MW_REQUEST_CONNECT,    /* a client has connected: accept() or refuse. Has client */
  MW_REQUEST_DISCONNECT, /* it has gone: accept(). Has client, reason. Follows a CONNECT that was accepted */
  MW_REQUEST_STREAM,     /* a raw stream was asked for: mw_request_stream or respond. Has http, route */
  MW_REQUEST_SLOW,       /* a client has become slow: accept(). Has client, and the channel whose message was too much */
  MW_REQUEST_PRESENCE,   /* a user becomes a member: accept(JSON that is told of it, or nothing) or refuse. Has client, channel */
  MW_REQUEST_WEBSOCKET,  /* a raw WebSocket was asked for: mw_request_websocket, respond or refuse. Has client, http, route */
  MW_REQUEST_SOCKET_MESSAGE, /* it sent a message: accept(); or refuse, which closes it with 1011 (status below 500: 1008 and the reason).
                                One at a time. Has socket, client, route, message */
  MW_REQUEST_SOCKET_CLOSE /* it is over: accept(). The last, one for each mw_request_websocket. Has socket, client, route, reason, close code */
};

struct mw_http_field {
  struct mw_bytes name, value;
};

/* An HTTP request as it came. */
struct mw_http {
  struct mw_bytes method;
  struct mw_bytes path;  /* percent-decoded UTF-8 */
  struct mw_bytes query; /* as sent, without '?' */
  struct mw_bytes body;
  struct mw_bytes remote; /* the peer's address without port; "unix" */
  struct mw_bytes token;  /* of "connect", else of Authorization: Bearer, else ?token=; empty: none */
  const struct mw_http_field *fields;
  size_t field_count;
};

MW_API enum mw_request_type mw_request_type(const struct mw_request *request);
MW_API struct mw_client *mw_request_client(const struct mw_request *request);   /* borrowed; NULL if the type has none */
MW_API struct mw_bytes mw_request_channel(const struct mw_request *request);    /* empty if the type has none */
MW_API int mw_request_kind(const struct mw_request *request);                   /* the channel's kind, or the route; -1 if none */
MW_API const struct mw_http *mw_request_http(const struct mw_request *request); /* NULL if the type has none */
struct mw_message {
  struct mw_bytes event;
  struct mw_bytes data; /* JSON as it was sent; of a raw WebSocket any text; empty if it is binary */
  struct mw_bytes binary;
  bool is_binary;
};
MW_API const struct mw_message *mw_request_message(const struct mw_request *request); /* NULL if the type has none */
/* The app has copied what it wants of the message: its memory goes now, not with the answer. */
MW_API void mw_request_drop_message(struct mw_request *request);
MW_API struct mw_bytes mw_request_reason(const struct mw_request *request); /* empty if the type has none */
MW_API bool mw_request_cancelled(const struct mw_request *request);
/* The app's own word for the request, NULL at first. */
MW_API void *mw_request_context(const struct mw_request *request);
MW_API void mw_request_set_context(struct mw_request *request, void *context);

/* Answers, each of which ends the life of `request` for the app. Safe inside on_request. */

/* Accepts; `data` is JSON (validated: MW_EINVAL, and the request counts as failed), or empty. */
MW_API int mw_request_accept(struct mw_request *request, const char *data, size_t data_len);
/* Refuses with an HTTP status, a code of the protocol ("forbidden") and a reason for the client. 429 and 503 are temporary: an event stream
 * gets 200, a retry and its end, and a WebSocket is closed with 1013. Every other status ends an EventSource permanently. */
MW_API void mw_request_refuse(struct mw_request *request, int status, const char *code, const char *reason);
/* The app failed to answer: the code is "internal". Where the client was about to enter this is a temporary refusal (503); a message or a
 * route, which may have been carried out in part, is answered with 500. */
MW_API void mw_request_fail(struct mw_request *request);

struct mw_response {
  int status; /* 200-599 */
  struct mw_bytes body;
  struct mw_bytes content_type; /* empty: none */
  const struct mw_http_field *fields;
  size_t field_count;
};
/* Answers MW_REQUEST_HTTP, MW_REQUEST_STREAM. MW_EINVAL: a status, or a field that is malformed or that the core writes itself
 * (Content-Length, Transfer-Encoding, Connection, Date); the client then gets 500. */
MW_API int mw_request_respond(struct mw_request *request, const struct mw_response *response, struct mw_error *error);

/* ---- Raw event streams --------------------------------------------------------------------------------------------------- */

struct mw_stream;

/* Answers MW_REQUEST_STREAM by beginning the stream; the caller owns one reference. `on_close` (NULL allowed) is called once when
 * the peer has gone or the stream was closed. MW_ENOMEM; MW_ECLOSED if the peer has gone already. */
MW_API int mw_request_stream(struct mw_request *request, struct mw_stream **stream, void (*on_close)(void *context),
                             void *context);
enum { MW_STREAM_ID_MAX = 1024 }; /* bytes of an event's id */
struct mw_stream_event {
  struct mw_bytes id;    /* ptr NULL: none; empty: the client forgets the last one */
  struct mw_bytes event; /* empty: "message" */
  struct mw_bytes data;  /* any text; ptr NULL: none */
  int64_t retry_ms;      /* negative: none */
};
/* Sends one event. MW_ECLOSED; MW_EINVAL: CR, LF or NUL in event, text that is not UTF-8, or an id with which no client can return: its
 * Last-Event-ID header carries up to MW_STREAM_ID_MAX printable characters of ASCII (and a quarter of limits.head), and no space at either
 * end; MW_ENOMEM. A stream over
 * limits.outbox is closed. */
MW_API int mw_stream_send(struct mw_stream *stream, const struct mw_stream_event *event);
/* Ends it after what was sent; idempotent. */
MW_API void mw_stream_close(struct mw_stream *stream);
MW_API void mw_stream_unref(struct mw_stream *stream); /* closes it as well; NULL is allowed */

/* ---- Raw WebSockets ------------------------------------------------------------------------------------------------------ */

/* One WebSocket of a raw endpoint. Its functions say MW_ECLOSED once it is known to be over, or was closed. Not after the server was freed, but for
 * mw_socket_unref. */
struct mw_socket;

/* Answers MW_REQUEST_WEBSOCKET by the upgrade; the caller owns one reference. MW_ENOMEM; MW_ECLOSED if the peer has gone already: then there is
 * no socket. */
MW_API int mw_request_websocket(struct mw_request *request, struct mw_socket **socket);
MW_API struct mw_socket *mw_request_socket(const struct mw_request *request); /* borrowed; NULL if the type has none */
/* The subprotocol that was chosen; empty if none was, or the type has no WebSocket. */
MW_API struct mw_bytes mw_request_protocol(const struct mw_request *request);
/* Of MW_REQUEST_SOCKET_CLOSE: the code of the close frame that came or went first, 1005 if it had none, 1006 if there was none; else 0. */
MW_API int mw_request_close_code(const struct mw_request *request);
/* Sends one message; text must be UTF-8 (MW_EINVAL). 0: handed over. MW_EUNAVAILABLE: over limits.queue; MW_ETOOLARGE: 4 GiB; MW_ENOMEM. Over its
 * outbox the socket is closed with 1013. */
MW_API int mw_socket_send(struct mw_socket *socket, const char *data, size_t data_len, bool is_binary);
/* Sends a ping with up to 125 bytes (MW_EINVAL). That it is answered shows in nothing but that the socket stays. */
MW_API int mw_socket_ping(struct mw_socket *socket, const char *data, size_t data_len);
/* Closes it after what was sent. MW_EINVAL: a code that a close frame may not have. */
MW_API int mw_socket_close(struct mw_socket *socket, int code, const char *reason);
/* Bytes that were sent and are not written yet. */
MW_API size_t mw_socket_buffered(const struct mw_socket *socket);
/* Has it get what is published to a channel from now on, as text frames with the push of the native protocol; or no longer. The app is not
 * asked. MW_ENOTFOUND, MW_EINVAL, MW_ENOMEM. */
MW_API int mw_socket_subscribe(struct mw_socket *socket, const char *channel, size_t channel_len);
MW_API int mw_socket_unsubscribe(struct mw_socket *socket, const char *channel, size_t channel_len);
/* Who is behind it, borrowed. It is not among those that mw_client_find and mw_client_next know. */
MW_API struct mw_client *mw_socket_client(const struct mw_socket *socket);
/* The app's own word for it, NULL at first. */
MW_API void *mw_socket_context(const struct mw_socket *socket);
MW_API void mw_socket_set_context(struct mw_socket *socket, void *context);
/* Gives up the reference; the WebSocket stays open. NULL is allowed. */
MW_API void mw_socket_unref(struct mw_socket *socket);

/* ---- Timers -------------------------------------------------------------------------------------------------------------- */

struct mw_timer;

/* Calls `on_timer` once after `delay_ms`, then every `repeat_ms` (0: once). The caller owns the timer. MW_ENOMEM, MW_ECLOSED. */
MW_API int mw_timer_new(struct mw_timer **timer, struct mw_server *server, uint64_t delay_ms, uint64_t repeat_ms,
                        void (*on_timer)(void *context), void *context);
/* Stops and frees; safe inside on_timer, and after the server was freed it must not be called. NULL is allowed. */
MW_API void mw_timer_free(struct mw_timer *timer);

/* ---- Tests without sockets and without waiting -------------------------------------------------------------------------- */

/* Moves the server's time on by hand: what falls due meanwhile happens at its moment and in order, be it deadlines of connections
 * (which are counted in whole seconds), the age of history, or timers. From the first call on its time stands still but for this.
 * mw_server_step then reads and closes what follows from it. Not inside a callback. */
MW_API void mw_server_advance(struct mw_server *server, uint64_t ms);
/* Steps the server until a further step would do nothing, reads of files included. False if it does not come to rest within
 * 20,000 steps: a handler starts another one each time. Not with a host's loop, nor inside a callback. */
MW_API bool mw_server_settle(struct mw_server *server);

/* The peer's side of a connection both ends of which are in the process. */
struct mw_memory;

/* Connects to the server, as a peer at "memory", by no listener. The caller owns the connection. MW_ECLOSED: it is stopping; MW_ENOMEM. */
MW_API int mw_connect_memory(struct mw_server *server, struct mw_memory **memory);
/* Sends bytes to the server, which reads them in its next step. MW_ECLOSED: it has closed, or mw_memory_finish was called; MW_ENOMEM. */
MW_API int mw_memory_write(struct mw_memory *memory, const void *data, size_t len);
/* Takes up to `size` bytes of what the server has written; returns how many, 0: nothing now. Of what is not taken the connection
 * holds 64 KiB; the rest waits at the server, as with a slow peer. */
MW_API size_t mw_memory_read(struct mw_memory *memory, void *out, size_t size);
/* The server has ended the connection, and all of it was taken. What was not taken before a reset is lost. */
MW_API bool mw_memory_ended(const struct mw_memory *memory);
/* Ends the peer's side; the server may still write. */
MW_API void mw_memory_finish(struct mw_memory *memory);
/* Closes and frees it; also after the server was freed. NULL is allowed. */
MW_API void mw_memory_close(struct mw_memory *memory);

#ifdef __cplusplus
}
#endif

#endif
