/* What a client of the native protocol sends: JSON objects with one verb each, and the answers to them.
 *
 *   {"subscribe":"room:1","since":"<id>","ref":1}                        {"ref":1,"ok":…}
 *   {"send":"room:1","event":"say","data":…,"ref":"a"}                   {"ref":"a","error":{"code":"refused","reason":"…"}}
 *
 * Members that the verb does not know are passed over. Of a member given twice the last one counts, as with JSON.parse, be it
 * a verb or not; the others are neither looked at nor kept. Two different verbs are an error whatever their values. */
#ifndef MOONWIRE_CODEC_VERB_H
#define MOONWIRE_CODEC_VERB_H

#include "codec/json_scan.h"

VISIBILITY_PUSH

enum { VERB_KEY_MAX = 128 };

enum verb_type {
  VERB_SUBSCRIBE,   /* channel, since */
  VERB_UNSUBSCRIBE, /* channel */
  VERB_SEND,        /* channel, event, data or payload (also as base64), idempotency_key */
  VERB_PRESENCE,    /* channel, after, limit */
  VERB_HISTORY,     /* channel, since, before, limit */
  VERB_TOKEN,       /* token */
  VERB_PING,
  VERB_CONNECT, /* token */
  VERB_COUNT
};

/* Text is decoded UTF-8, with ptr NULL if it was not given. */
struct verb {
  enum verb_type type;
  struct json_value ref; /* an integer within 64 bits, or a string of at most 64 bytes; its raw text goes into the answer */
  struct bytes channel;  /* a valid name */
  struct bytes event;    /* a valid name; "message" if none was given */
  struct json_value data;
  bool is_binary; /* data came as bytes: `payload` */
  struct bytes payload;
  struct bytes idempotency_key; /* of 1 to VERB_KEY_MAX bytes, or empty: none */
  struct bytes since, before;   /* whatever the client takes for an id */
  struct bytes after;           /* a user's id */
  uint32_t limit;               /* 0: not given */
  struct bytes token;
};

struct verb_fault {
  const char *code;   /* "bad_request", "unavailable" without memory; NULL: nothing is wrong */
  const char *reason; /* a constant */
  int64_t offset;     /* the byte where the text is no JSON; negative if it is */
};

/* Reads one object. After a fault only ref and channel mean anything, as far as they could be read: the answer names them. Slices
 * point into `json`, or, where it has escapes, into `text`, which is cleared first and belongs to the caller. */
struct verb_fault verb_read(struct bytes json, struct buffer *text, struct verb *verb);

/* A binary frame is the object without data, a line feed, and the bytes. False if there is no line feed. */
bool verb_split_binary(struct bytes frame, struct bytes *json, struct bytes *payload);
/* The same as verb_read for a binary frame, which can only be a send. */
struct verb_fault verb_read_binary(struct bytes frame, struct buffer *text, struct verb *verb);

/* Writers append one object. `ref` is raw JSON (verb.ref.raw), `value` JSON; empty: none. */

/* {"ref":…,"ok": and then it is the caller's turn: a value, and the closing brace. */
void verb_write_ok_start(struct buffer *out, struct bytes ref);
/* {"ref":…,"ok":…}; without a value true. */
void verb_write_ok(struct buffer *out, struct bytes ref, struct bytes value);
/* {"ref":…,"error":{"code":…,"reason":…}}; without a ref "channel":… takes its place, if there is one. All texts are UTF-8. */
void verb_write_error(struct buffer *out, struct bytes ref, struct bytes channel, struct bytes code, struct bytes reason);
/* The error that answers a fault of verb_read. */
void verb_write_fault(struct buffer *out, const struct verb *verb, const struct verb_fault *fault);

VISIBILITY_POP

#endif
