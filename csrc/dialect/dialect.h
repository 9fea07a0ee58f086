/* A dialect: how clients speak. It reads verbs from what they send, and writes answers and events from facts. It does no I/O and knows no
 * connection. What a verb does is session/'s, once for all dialects.
 *
 * A dialect is a struct of functions, one for each way of speaking over a carrier (delivery/form.h), and its form classes. Nothing outside of
 * its files asks which one it is. */
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

/* What a reader has between its calls. */
struct dialect_reader {
  struct buffer text; /* what slices of the verb point into if they cannot point into the frame; the reader's own */
  struct buffer kept; /* the beginning of a verb that a later frame continues; kept for the same client until then */
  char fault[128];    /* for refusal.reason */
};

enum read_result {
  READ_NOTHING, /* all was read */
  READ_VERB,
  READ_FAULT /* of the verb, only ref and channel are set, as far as they could be read */
};

struct refusal {
  struct bytes channel; /* empty: none */
  const char *code, *reason;
  int status; /* of an HTTP answer; 0: the one that goes with the code */
};

/* ---- Answers ---- */

/* A channel, for a client that has just joined it. */
struct told {
  const struct hub *hub;
  const struct job_channel *channel; /* its data, and whether it has members */
  size_t *room;                      /* how many bytes of members may still be written: reduced by what is */
};

enum outcome_type {
  OUTCOME_DONE,      /* nothing more is to be said */
  OUTCOME_VALUE,     /* value */
  OUTCOME_KEPT,      /* id of the message that was sent */
  OUTCOME_CONNECTED, /* client, ping_ms */
  OUTCOME_JOINED,    /* told; id: the cursor (empty: the client knows by itself), since, gap_count */
  OUTCOME_MEMBERS,   /* told, query */
  OUTCOME_HISTORY    /* page */
};

/* What has come of a verb. */
struct outcome {
  enum outcome_type type;
  struct bytes value; /* JSON that the app has given; empty: none */
  struct bytes id, client;
  uint64_t ping_ms; /* how long a silent client is not asked for a sign of life */
  struct since since;
  size_t gap_count; /* messages after `since` are missing */
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
};

/* The beginning of an event stream. */
struct opening {
  const struct script_job *job; /* its channels, since, and, if somebody asks, its client */
  const struct hub *hub;
  const struct replay *replay;
  struct bytes id;   /* the cursor */
  uint32_t retry_ms; /* when to reconnect */
  size_t room;       /* as told.room, for all channels */
};

/* Every function is set, except `open` of a dialect that no event stream speaks. A writer whose text has failed was out of memory, or does not
 * know the members. One that appends nothing has no words for it, and nothing is sent. */
struct dialect {
  const char *subprotocol; /* of WebSocket; NULL: spoken without one, or over another carrier */
  bool connects_first;     /* a client says by its first verb who it is */
  /* Text by which a silent peer is asked for a sign of life, or a stream is kept open, as its carrier has it. Empty: a ping frame. */
  struct bytes ping;

  const struct form_class *form;       /* of messages */
  const struct form_class *compressed; /* the same by window, WS_WINDOW_COUNT of them; NULL: never compressed */
  const struct form_class *own;        /* the same compressed by each subscriber for itself; with `compressed` */
  const struct form_class *item;       /* of messages in pages of a history */

  /* Reads the next verb. *in is what is left of a frame, and loses what was read; its ptr is not NULL at the first call. Slices of the verb are
   * valid until the next call. */
  enum read_result (*next)(struct dialect_reader *reader, struct bytes *in, bool is_binary, struct verb *verb,
                           struct refusal *refusal);
  /* Returns the ref of a verb in text that was not read, or nothing: points into the text. */
  struct bytes (*find_ref)(struct bytes text);
  /* Append the answer to a verb with that ref (verb.ref.raw). */
  void (*ok)(struct rope *out, struct bytes ref, const struct outcome *outcome);
  void (*error)(struct rope *out, struct bytes ref, const struct refusal *refusal);
  /* Appends an event of the server's own. */
  void (*event)(const struct dialect *dialect, struct rope *out, const struct event *event);
  /* Appends the beginning of an event stream, with the gaps of its replay. */
  void (*open)(const struct dialect *dialect, struct rope *out, struct opening *opening);
  /* Returns the close code. */
  unsigned (*close_code)(const struct closing *closing);
};

/* The dialects that a server speaks; handed in at the start. */
struct dialect_table {
  const struct dialect *const *websockets; /* ended by NULL; the first is spoken without a subprotocol */
  const struct dialect *stream, *envelope; /* event streams without ?envelope=1, and with it */
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
