/* The sends that carried an idempotency key. A repeated one is answered as the first was, or waits for that answer, and calls no handler. All
 * of it belongs to the script's thread. */
#ifndef MOONWIRE_SERVER_SEND_KEY_H
#define MOONWIRE_SERVER_SEND_KEY_H

#include "base/blob.h"
#include "base/list.h"
#include "base/table.h"

VISIBILITY_PUSH

enum {
  SEND_KEYS = 10000,                  /* answers that are known at once */
  SEND_KEYS_BYTES = 16 * 1024 * 1024, /* with their keys */
  SEND_KEYS_MS = 5 * 60 * 1000
};

struct errand;
struct mw_server;

/* One key of one user, or of all anonymous clients. */
struct send_key {
  struct list link;    /* in send_keys.known, if the answer is known */
  struct list waiters; /* errands that want the answer */
  uint64_t known_ms;
  bool is_known;
  int status; /* of the answer */
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
  SEND_KEY_FIRST,    /* the caller goes on; send_key_settle must follow */
  SEND_KEY_WAITS,    /* the errand is among the waiters, by its link */
  SEND_KEY_ANSWERED, /* the errand has the answer of the first, or a refusal if out of memory */
};

void send_keys_init(struct send_keys *keys);
/* There must be no waiters any more. */
void send_keys_deinit(struct send_keys *keys);
/* Finds out what is to be done with a message that carries a key. */
enum send_key_turn send_key_enter(struct send_keys *keys, struct errand *errand, uint64_t now_ms);
/* The errand that was the first is answered. Keeps the answer, unless a repeated send may do better; moves those that waited to the end of
 * `ready`. */
void send_key_settle(struct send_keys *keys, struct errand *errand, uint64_t now_ms, struct list *ready);
/* Takes any errand that waits; NULL: none does. */
struct errand *send_keys_take_waiter(struct send_keys *keys);

VISIBILITY_POP

#endif
