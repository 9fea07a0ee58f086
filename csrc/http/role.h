/* A role answers one kind of request. What is below calls a role by this struct alone, and never by
 * its name.
 *
 * Every member is set. The groups of role_nothing functions below are for what a role never has
 * to do. */
#ifndef MOONWIRE_HTTP_ROLE_H
#define MOONWIRE_HTTP_ROLE_H

#include <stdint.h>

#include "base/bytes.h"
#include "delivery/closing.h"

VISIBILITY_PUSH

struct blob;
struct script_job;
struct exchange;
struct mail;
struct message;

struct role {
  /* The request is complete. Answers it, or asks the script, or begins a stream. */
  void (*start)(struct exchange *exchange);
  /* The script has answered what was asked (exchange_ask, session_ask). */
  void (*on_answer)(struct exchange *exchange, struct script_job *job);
  /* Nothing came in time, or the server stops. Answers the request. */
  void (*on_late)(struct exchange *exchange);
  /* The server stops. True: what the exchange waits for is finished first, within
   * limits.drain_ms, and the role ends the exchange after it. False: it ends now. In the states
   * EXCHANGE_ASKING, EXCHANGE_WAITING, and EXCHANGE_STREAMING. */
  bool (*finishes)(struct exchange *exchange);
  /* All that was pushed is written, and the body that exchange_begin announced is not complete.
   * Pushes more. */
  void (*on_written)(struct exchange *exchange);
  /* Bytes of a peer whose connection was upgraded. Returns how many it took, which it may have
   * overwritten; the rest comes again in the next turn, or, if the role has stopped reading,
   * when it reads again (exchange_read). */
  size_t (*on_read)(struct exchange *exchange, struct bytes bytes);
  /* A stream was silent for silence_ms. */
  void (*on_silent)(struct exchange *exchange);
  /* Mail for the exchange that is not the answer to what it asks. The caller frees the mail. */
  void (*on_mail)(struct exchange *exchange, struct mail *mail);
  /* The exchange was flushed. Called only if the exchange has a session. */
  void (*on_flushed)(struct exchange *exchange);
  /* Closes a stream. Called in the state EXCHANGE_STREAMING only (exchange_close). */
  void (*close)(struct exchange *exchange, const struct closing *closing);
  /* Gives up the message that the peer has begun, and closes. Nothing more of the peer is
   * awaited. */
  void (*give_up)(struct exchange *exchange, const struct closing *closing);
  /* The role's part is over: releases what it holds. Called exactly once, however the exchange
   * ends. */
  void (*on_end)(struct exchange *exchange);
  /* How long a stream may be silent. */
  uint64_t (*silence_ms)(struct exchange *exchange);
  /* How long the exchange stays in EXCHANGE_WAITING. */
  uint64_t (*left_ms)(struct exchange *exchange);
  /* How many bytes, not counting messages of channels, may be queued for a stream. */
  size_t (*outbox_limit)(struct exchange *exchange);
  /* True: a request that waits is given up when its peer ends its side. False: it is answered
   * all the same. */
  bool needs_peer;
};

void role_nothing(struct exchange *exchange);
void role_nothing_on_answer(struct exchange *exchange, struct script_job *job);
/* Takes all of it. */
size_t role_nothing_on_read(struct exchange *exchange, struct bytes bytes);
void role_nothing_on_mail(struct exchange *exchange, struct mail *mail);
void role_nothing_give_up(struct exchange *exchange, const struct closing *closing);
uint64_t role_nothing_left_ms(struct exchange *exchange);
bool role_always_finishes(struct exchange *exchange);
bool role_never_finishes(struct exchange *exchange);
/* limits.heartbeat_ms: the stream is kept alive by what is written. */
uint64_t role_heartbeat_ms(struct exchange *exchange);
/* limits.outbox. */
size_t role_outbox_limit(struct exchange *exchange);

/* Members of a role that asks nobody. */
#define ROLE_ASKS_NOTHING .on_answer = role_nothing_on_answer, .on_late = role_nothing, .finishes = role_never_finishes
/* Of one whose answers are complete when they begin. */
#define ROLE_WRITES_AT_ONCE .on_written = role_nothing
/* Of one that does not wait for messages. */
#define ROLE_NEVER_WAITS .left_ms = role_nothing_left_ms
/* Of one that does not upgrade. */
#define ROLE_READS_NOTHING .on_read = role_nothing_on_read, .give_up = role_nothing_give_up
/* Of one that begins a stream in order to refuse it, if at all. */
#define ROLE_NEVER_STREAMS                                                                                                       \
  ROLE_READS_NOTHING, .on_silent = role_nothing, .on_mail = role_nothing_on_mail, .on_flushed = role_nothing,                    \
                      .close = exchange_close_stream, .silence_ms = role_heartbeat_ms, .outbox_limit = role_outbox_limit
/* Of one that answers within `start`. */
#define ROLE_ANSWERS_AT_ONCE ROLE_ASKS_NOTHING, ROLE_WRITES_AT_ONCE, ROLE_NEVER_WAITS, ROLE_NEVER_STREAMS

/* True if every member is set. */
bool role_is_complete(const struct role *role);

VISIBILITY_POP

#endif
