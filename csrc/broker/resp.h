/* RESP2, the protocol of Redis, by the codec of hiredis. Replies become values of our own, and every
 * reply has a limit. */
#ifndef MOONWIRE_BROKER_RESP_H
#define MOONWIRE_BROKER_RESP_H

#include "base/buffer.h"

VISIBILITY_PUSH

enum {
  RESP_REPLY_MAX = 8 << 20,    /* bytes of one reply: several records, of 1 MiB each */
  RESP_ELEMENTS_MAX = 1 << 16, /* values in one reply, in all arrays */
  RESP_ARGUMENTS_MAX = 4096,   /* of one command */
};

enum resp_type { RESP_STRING, RESP_STATUS, RESP_ERROR, RESP_INTEGER, RESP_NIL, RESP_ARRAY };

struct resp_value {
  enum resp_type type;
  int64_t integer;
  struct bytes text; /* of a string, a status, or an error; followed by a NUL */
  size_t count;      /* of an array */
  struct resp_value *items[];
};

void resp_value_free(struct resp_value *value); /* NULL is allowed */
/* Returns the item of an array, or NULL if there is none, or `value` is NULL or not an array. */
const struct resp_value *resp_item(const struct resp_value *value, size_t index);
/* Returns the text of a string or status, or empty bytes for everything else, NULL too. */
struct bytes resp_text(const struct resp_value *value);
/* Reads an integer, or a string of decimal digits: positions exceed what Lua in Redis returns as a
 * number. Returns false for everything else. */
bool resp_u64(const struct resp_value *value, uint64_t *out);

struct resp_reader {
  void *hiredis;   /* redisReader; NULL before the first byte */
  size_t elements; /* of the reply that is being read */
  int status;      /* why nothing more can be read */
  char problem[128];
};

void resp_reader_init(struct resp_reader *reader);
/* Drops what was read in part. The reader can be used again, from the beginning. */
void resp_reader_deinit(struct resp_reader *reader);
/* Adds what the peer has sent. MW_ENOMEM, or the status of what was read before. */
int resp_feed(struct resp_reader *reader, struct bytes sent);
/* Reads the next reply. Returns 0 with a value that the caller frees; or MW_PENDING: it is not
 * complete; or MW_EFORGED: not RESP, MW_ETOOLARGE: over a limit, MW_ENOMEM. After a failure, `problem`
 * states the cause, and nothing more can be read. */
int resp_next(struct resp_reader *reader, struct resp_value **value);

/* Appends a command to `out`. MW_ETOOLARGE: too many arguments; MW_ENOMEM: `out` is unchanged. */
int resp_write(struct buffer *out, const struct bytes *arguments, size_t count);

VISIBILITY_POP

#endif
