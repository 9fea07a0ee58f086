/* The JSON objects of publishing: what a back end sends to POST /publish, and the push that clients
 * receive. */
#ifndef MOONWIRE_CODEC_ENVELOPE_H
#define MOONWIRE_CODEC_ENVELOPE_H

#include "codec/json_scan.h"

VISIBILITY_PUSH

/* A publish as a back end sends it. Slices are raw JSON; absent members have the type JSON_NONE. */
struct envelope_publish {
  struct json_value channel, event, data, base64, key, is_volatile, is_final, idempotency_key;
};

enum { ENVELOPE_FAULT_MAX = 128 };

/* Reads one publish from scanned JSON. Returns false, and writes to `fault` which member is
 * unknown, missing, or invalid. If a member occurs more than once, the last one counts. */
bool envelope_read_publish(struct json_value object, struct envelope_publish *publish, char fault[ENVELOPE_FAULT_MAX]);

struct envelope_push {
  struct bytes channel; /* decoded UTF-8; ptr is NULL if there is none */
  struct bytes event;
  struct bytes id;     /* ptr is NULL if there is none */
  struct bytes from;   /* ptr is NULL if there is none */
  struct bytes data;   /* JSON; ptr is NULL if there is no data member */
  struct bytes base64; /* encoded bytes instead of data; ptr is NULL if there are none */
};

/* Appends {"channel":…,"event":…,"id":…,"from":…,"data":…} without insignificant white space. */
void envelope_write_push(struct buffer *out, const struct envelope_push *push);

enum { CHANNEL_NAME_MAX = 255 };

/* Checks a channel name: 1-255 bytes of UTF-8 without control characters (C0, DEL, C1). Returns
 * NULL, or a constant that states the fault. */
const char *channel_name_fault(struct bytes name);
/* Checks an event name: 1-64 of [A-Za-z0-9_.:-], and not "open", "error", or "moonwire:*". Returns
 * NULL, or a constant that states the fault. */
const char *event_name_fault(struct bytes name);

VISIBILITY_POP

#endif
