/* A dialect: a client protocol. It reads verbs from input, and writes answers and events. It does
 * no I/O, and does not depend on connections. session/ carries out the verbs of all dialects.
 *
 * A dialect is a struct of functions and its form classes, one for each use of the protocol over a
 * carrier (delivery/form.h). Code outside its files does not test which dialect it is. */
#ifndef MOONWIRE_DIALECT_DIALECT_H
#define MOONWIRE_DIALECT_DIALECT_H

#include "app/script_job.h"
#include "codec/verb.h"
#include "delivery/closing.h"
#include "delivery/history_page.h"
#include "delivery/replay.h"

VISIBILITY_PUSH

struct dialect;

/* ---- Verbs ---- */

/* The state of a reader between its calls. */
struct dialect_reader {
  /* memory of the reader, for slices of the verb that cannot point into the frame */
  struct buffer text;
  /* the beginning of a verb that a later frame continues; kept for the same client until then */
  struct buffer kept;
  char fault[128]; /* for refusal.reason */
};

enum read_result {
  READ_NOTHING, /* everything was read */
  READ_VERB,
  READ_FAULT /* only the verb's ref and channel are set, if they could be read */
};

struct refusal {
  struct bytes channel; /* empty: none */
  const char *code, *reason;
  int status;        /* of an HTTP answer; 0: the status of the code */
  uint32_t retry_ms; /* after which the same verb may succeed; 0: unknown */
};

/* ---- Answers ---- */

/* A channel, for a client that has just joined it. */
struct told {
  const struct hub *hub;
  const struct job_channel *channel; /* its data, and whether it has members */
  /* bytes of members that may still be written; the writer reduces it */
  size_t *room;
};

enum outcome_type {
  OUTCOME_DONE,      /* no more details */
  OUTCOME_VALUE,     /* value */
  OUTCOME_KEPT,      /* id of the message that was sent */
  OUTCOME_CONNECTED, /* client, ping_ms, expires_s */
  OUTCOME_JOINED,    /* told, since, gap_count; id: the cursor */
  OUTCOME_MEMBERS,   /* told, query */
  OUTCOME_HISTORY    /* page */
};

/* The result of a verb. */
struct outcome {
  enum outcome_type type;
  struct bytes value; /* JSON of the app; empty: none */
  struct bytes id, client;
  uint64_t ping_ms;   /* of silence, after which the server pings the client */
  uint64_t expires_s; /* until its token expires; 0: without end */
  struct since since;
  size_t gap_count; /* more than 0: messages after `since` are missing */
  struct told told;
  struct roster_query query;
  const struct history_page *page;
  const struct epoch *epoch; /* of the page */
};

/* ---- Events ---- */

struct event {
  enum event_type type;
  struct bytes channel;      /* empty: none */
  struct bytes id;           /* the new cursor; empty: none */
  const char *code, *reason; /* EVENT_UNSUBSCRIBED */
  struct told told;          /* EVENT_PRESENCE */
  uint64_t expires_s;        /* EVENT_EXPIRING: until the token expires */
};

/* The beginning of an event stream. */
struct opening {
  const struct script_job *job; /* its channels, its cursor, and its client if there is one */
  const struct hub *hub;
  const struct replay *replay;
  struct bytes id;    /* the cursor */
  uint32_t retry_ms;  /* when to reconnect */
  uint64_t expires_s; /* as in struct outcome */
  size_t room;        /* as told.room, for all channels together */
};

/* The answer to a poll, without its messages. */
struct polled {
  struct bytes id;          /* the cursor with which the client continues */
  struct bytes client;      /* its id; empty: none */
  bool more;                /* not complete: the next poll finds something immediately */
  struct since since;       /* the cursor with which it came */
  const struct bytes *gaps; /* channels of which messages are missing */
  size_t gap_count;
  const struct rope *joined; /* the channels that it has joined, as poll_joined has written them */
};

/* Every function is set, except `open` of a dialect that event streams do not use, and those of
 * polls. If a writer runs out of memory, or the members are unknown, its rope has failed. If the dialect does not have such
 * an answer or event, the writer appends nothing, and nothing is sent. */
struct dialect {
  const char *subprotocol; /* of WebSocket; NULL: used without one, or over another carrier */
  bool connects_first;     /* a client identifies itself by its first verb */
  /* the text that pings a silent peer, or keeps a stream open; empty: a ping frame */
  struct bytes ping;

  const struct form_class *form;       /* of messages */
  const struct form_class *compressed; /* WS_WINDOW_COUNT forms, by window; NULL: never */
  const struct form_class *own;        /* compressed for each subscriber; with `compressed` */
  const struct form_class *item;       /* of messages in history pages */

  /* Reads the next verb. *in is the rest of a frame; what was read is removed from it. Its ptr is
   * not NULL at the first call. Slices of the verb are valid until the next call. */
  enum read_result (*next)(struct dialect_reader *reader, struct bytes *in, bool is_binary, struct verb *verb,
                           struct refusal *refusal);
  /* Returns the ref of a verb in text that `next` has not read; empty: none. Points into the
   * text. */
  struct bytes (*find_ref)(struct bytes text);
  /* Append the answer to the verb with that ref (verb.ref.raw). */
  void (*ok)(struct rope *out, struct bytes ref, const struct outcome *outcome);
  void (*error)(struct rope *out, struct bytes ref, const struct refusal *refusal);
  /* Appends an event of the server's own. */
  void (*event)(const struct dialect *dialect, struct rope *out, const struct event *event);
  /* Appends the beginning of an event stream, with the gaps of its replay. */
  void (*open)(const struct dialect *dialect, struct rope *out, struct opening *opening);
  /* Appends everything that precedes the messages of a poll; they are in the form `form`. */
  void (*poll)(struct rope *out, const struct polled *polled);
  struct bytes poll_between, poll_end; /* what is between two messages, and after all of them */
  /* Appends a channel to those that a poll has joined, with `ok` of its query. */
  void (*poll_joined)(struct rope *joined, struct bytes channel, const struct rope *ok);
  /* Returns the close code for the reason of a closing. */
  unsigned (*close_code)(const struct closing *closing);
};

/* The dialects of a server, set at its start. */
struct dialect_table {
  const struct dialect *const *websockets; /* ends with NULL; the first has no subprotocol */
  const struct dialect *stream, *envelope; /* event streams without ?envelope=1, and with it */
  const struct dialect *follow;            /* raw streams that follow a channel */
  const struct dialect *poll;
};

static inline void dialect_reader_init(struct dialect_reader *reader) {
  buffer_init(&reader->text);
  buffer_init(&reader->kept);
}
static inline void dialect_reader_deinit(struct dialect_reader *reader) {
  buffer_deinit(&reader->text);
  buffer_deinit(&reader->kept);
}

VISIBILITY_POP

#endif
