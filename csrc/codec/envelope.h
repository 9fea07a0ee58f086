/* The JSON objects of the native protocol: one verb an object on the way up, one push an object on the way down. */
#ifndef MOONWIRE_CODEC_ENVELOPE_H
#define MOONWIRE_CODEC_ENVELOPE_H

#include "codec/json_scan.h"

VISIBILITY_PUSH

/* A publish as back ends send it to POST /publish. Slices are raw JSON; absent members have type JSON_NONE. */
struct envelope_publish {
  struct json_value channel, event, data, base64, key, is_volatile, is_final, idempotency_key;
};

enum { ENVELOPE_FAULT_MAX = 128 };

/* Reads one publish from scanned JSON. False: `fault` is a sentence that names the member that is unknown, missing, or of the wrong type. Of a
 * member given twice the last one counts. */
bool envelope_read_publish(struct json_value object, struct envelope_publish *publish, char fault[ENVELOPE_FAULT_MAX]);

struct envelope_push {
  struct bytes channel; /* decoded UTF-8; ptr NULL: none */
  struct bytes event;
  struct bytes id;     /* ptr NULL: none */
  struct bytes from;   /* ptr NULL: none */
  struct bytes data;   /* JSON; ptr NULL: no data member */
  struct bytes base64; /* encoded bytes, in place of data; ptr NULL: none */
};

/* Appends {"channel":…,"event":…,"id":…,"from":…,"data":…} without white space of its own. */
void envelope_write_push(struct buffer *out, const struct envelope_push *push);

enum { CHANNEL_NAME_MAX = 255 };

/* Channel names: 1-255 bytes of UTF-8 without control characters (C0, DEL, C1). NULL, or what is wrong. */
const char *channel_name_fault(struct bytes name);
/* Event names: 1-64 of [A-Za-z0-9_.:-]; "open", "error" and "moonwire:*" are refused. NULL, or what is wrong. */
const char *event_name_fault(struct bytes name);

VISIBILITY_POP

#endif
