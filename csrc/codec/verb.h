/* The messages of clients of the native protocol, JSON objects with one verb each, and the answers:
 *
 *   {"subscribe":"room:1","since":"<id>","ref":1}
 *   {"ref":1,"ok":…}
 *   {"send":"room:1","event":"say","data":…,"ref":"a"}
 *   {"ref":"a","error":{"code":"refused","reason":"…"}}
 *
 * Members that the verb does not have are ignored. If a member occurs more than once, the last one
 * counts, as with JSON.parse; the others are not checked. Two different verbs are an error,
 * regardless of their values. */
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

/* Text is decoded UTF-8; ptr is NULL if it was not given. */
struct verb {
  enum verb_type type;
  /* an integer of 64 bits, or a string of at most 64 bytes; the answer has its raw text */
  struct json_value ref;
  struct bytes channel; /* a valid name */
  struct bytes event;   /* a valid name; "message" by default */
  struct json_value data;
  bool is_binary; /* the data are the bytes of `payload` */
  struct bytes payload;
  struct bytes idempotency_key; /* 1 to VERB_KEY_MAX bytes, or empty if there is none */
  struct bytes since, before;   /* any text that the client takes for an id */
  struct bytes after;           /* the id of a user */
  uint32_t limit;               /* 0 if it was not given */
  struct bytes token;
};

struct verb_fault {
  const char *code;   /* "bad_request", or "unavailable" if out of memory; NULL: no fault */
  const char *reason; /* a constant */
  int64_t offset;     /* where the text stops being valid JSON; negative if it is valid */
};

/* Reads one object. After a fault, only ref and channel are set, as far as they could be read,
 * because the answer names them. Slices point into `json` or, if they have escapes, into `text`,
 * which is cleared first and belongs to the caller. */
struct verb_fault verb_read(struct bytes json, struct buffer *text, struct verb *verb);

/* Returns the ref of an object that is refused without being read, as raw JSON within `json`; empty
 * if there is none. */
struct bytes verb_find_ref(struct bytes json);

/* Splits a binary frame: the object without data, a newline, and the bytes. Returns false if there
 * is no newline. */
bool verb_split_binary(struct bytes frame, struct bytes *json, struct bytes *payload);
/* Reads a binary frame as verb_read does. It must be a send. */
struct verb_fault verb_read_binary(struct bytes frame, struct buffer *text, struct verb *verb);

/* The functions below append one object. `ref` is raw JSON (verb.ref.raw); empty: none. */

/* Appends {"ref":…,"ok": only. The caller appends a value and the closing brace. */
void verb_write_ok_start(struct buffer *out, struct bytes ref);
/* Appends {"ref":…,"error":{"code":…,"reason":…}}. Without a ref, it has "channel":… instead, if
 * there is one. All texts must be UTF-8. */
void verb_write_error(struct buffer *out, struct bytes ref, struct bytes channel, struct bytes code, struct bytes reason);
/* The same, with "retry_after":… in seconds (0: without it). */
void verb_write_error_later(struct buffer *out, struct bytes ref, struct bytes channel, struct bytes code, struct bytes reason,
                            uint32_t retry_ms);
/* Writes the reason of a fault, terminated. */
void verb_fault_text(const struct verb_fault *fault, char *out, size_t size);

VISIBILITY_POP

#endif
