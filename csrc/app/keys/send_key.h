/* Sends with an idempotency key, and their answers. A repeated send gets the answer of the first,
 * or waits for it. Only for the script's thread. */
#ifndef MOONWIRE_APP_KEYS_SEND_KEY_H
#define MOONWIRE_APP_KEYS_SEND_KEY_H

#include "base/blob.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/table.h"

VISIBILITY_PUSH

enum {
  SEND_KEYS = 10000,                  /* answers that are kept */
  SEND_KEYS_BYTES = 16 * 1024 * 1024, /* and their bytes, with the keys */
  SEND_KEYS_MS = 5 * 60 * 1000
};

struct send_answer {
  int status;
  struct blob *body; /* of a 200; NULL: none */
  bool is_id;        /* the body is the id of the message that was published, and not JSON */
  const char *code, *reason;
};

/* One key of one user, or of all anonymous clients. */
struct send_key {
  struct list link;    /* in send_keys.known, if the answer is known */
  struct list waiters; /* links of the sends that wait for the answer */
  uint64_t known_ms;
  bool is_known, is_id;
  int status;
  struct blob *body, *refusal;
  size_t size, key_len;
  char key[];
};

struct send_keys {
  struct table by_key;
  struct list known; /* oldest first */
  size_t known_count, bytes;
};

enum send_key_turn {
  SEND_KEY_FIRST,    /* the caller continues; send_key_settle must follow */
  SEND_KEY_WAITS,    /* the waiter is in the entry's list */
  SEND_KEY_ANSWERED, /* send_key_answer has the answer */
  SEND_KEY_FAILED,   /* out of memory */
};

void send_keys_init(struct send_keys *keys);
/* Frees everything. There must be no waiters. */
void send_keys_deinit(struct send_keys *keys);
/* Appends the key under which a user's send is kept. `kind` tells what `user` is; the length keeps
 * "a" + "bc" and "ab" + "c" apart. */
void send_key_write(struct buffer *out, char kind, struct bytes user, struct bytes key);
/* Decides what to do with a send. Sets *entry unless it fails. */
enum send_key_turn send_key_enter(struct send_keys *keys, struct bytes key, struct list *waiter, uint64_t now_ms,
                                  struct send_key **entry);
/* Returns the answer of the first send. Its texts live as long as the entry. */
struct send_answer send_key_answer(const struct send_key *entry);
/* Sets the answer of the first send (NULL: it is not kept, and the next one is tried). Moves the
 * sends that waited to the end of `ready`; they enter again. */
void send_key_settle(struct send_keys *keys, struct send_key *entry, const struct send_answer *answer, uint64_t now_ms,
                     struct list *ready);
/* Removes any waiter, or returns NULL if there is none. */
struct list *send_keys_take_waiter(struct send_keys *keys);

VISIBILITY_POP

#endif
