/* A role answers one kind of request. Lower rooms call a role by this struct alone, and never by
 * its name.
 *
 * Every member is set. The groups of role_nothing functions below are for what a role never has to
 * do. All functions run on the worker's thread. */
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

enum role_opens { ROLE_OPENS_NOTHING, ROLE_OPENS_STREAM, ROLE_OPENS_SOCKET };

struct role {
  /* Called when the request is complete. Answers it, asks the script, or begins a stream. */
  void (*start)(struct exchange *exchange);
  /* Called with the script's answer (exchange_ask, session_ask). */
  void (*on_answer)(struct exchange *exchange, struct script_job *job);
  /* Called if the answer did not arrive in time, or if the server stops. Answers the request. */
  void (*on_late)(struct exchange *exchange);
  /* Called when the server stops, in the states EXCHANGE_ASKING, EXCHANGE_WAITING, and
   * EXCHANGE_STREAMING. Returns true if the exchange first finishes what it waits for, within
   * limits.drain_ms; then the role ends the exchange. Returns false to end it now. */
  bool (*finishes)(struct exchange *exchange);
  /* Called when all pushed data is written, and the body that exchange_begin announced is
   * incomplete. Pushes more. */
  void (*on_written)(struct exchange *exchange);
  /* Takes bytes of a peer whose connection was upgraded, and may overwrite them. Returns how many
   * it took. The rest is offered again in the next turn, or, if the role has stopped reading, when
   * it reads again (exchange_read). */
  size_t (*on_read)(struct exchange *exchange, struct bytes bytes);
  /* Called after a stream was silent for silence_ms. */
  void (*on_silent)(struct exchange *exchange);
  /* Takes mail for the exchange that is not the answer to its question. The caller frees the
   * mail. */
  void (*on_mail)(struct exchange *exchange, struct mail *mail);
  /* Called after each flush, if the exchange has a session. */
  void (*on_flushed)(struct exchange *exchange);
  /* Called when every channel of an event stream has ended, and its client has what there is. */
  void (*on_finish)(struct exchange *exchange);
  /* Closes a stream. Called in the state EXCHANGE_STREAMING only (exchange_close). */
  void (*close)(struct exchange *exchange, const struct closing *closing);
  /* Drops the incomplete message of the peer, and closes. Nothing more of the peer is awaited. */
  void (*give_up)(struct exchange *exchange, const struct closing *closing);
  /* Called exactly once, when the exchange or the role's part of it ends. Releases what the role
   * holds. */
  void (*on_end)(struct exchange *exchange);
  /* Returns how long a stream may be silent. */
  uint64_t (*silence_ms)(struct exchange *exchange);
  /* Returns how long the exchange stays in EXCHANGE_WAITING. */
  uint64_t (*left_ms)(struct exchange *exchange);
  /* Returns how many bytes, not counting messages of channels, may be unsent. */
  size_t (*outbox_limit)(struct exchange *exchange);
  /* True: a request that waits is given up when its peer ends its side. False: it is answered. */
  bool needs_peer;
  /* True: its streams are raw WebSockets, which follow channels and are not clients of them. */
  bool is_raw;
  /* what its answer lasts as, if it does: limits.address_handshakes applies. The type of a route has
   * precedence */
  enum role_opens opens;
};

void role_nothing(struct exchange *exchange);
void role_nothing_on_answer(struct exchange *exchange, struct script_job *job);
/* Takes all bytes. */
size_t role_nothing_on_read(struct exchange *exchange, struct bytes bytes);
void role_nothing_on_mail(struct exchange *exchange, struct mail *mail);
void role_nothing_give_up(struct exchange *exchange, const struct closing *closing);
uint64_t role_nothing_left_ms(struct exchange *exchange);
bool role_always_finishes(struct exchange *exchange);
bool role_never_finishes(struct exchange *exchange);
/* Returns limits.heartbeat_ms: writing keeps the stream alive. */
uint64_t role_heartbeat_ms(struct exchange *exchange);
/* Returns limits.outbox. */
size_t role_outbox_limit(struct exchange *exchange);

/* Members of a role that does not ask the script. */
#define ROLE_ASKS_NOTHING .on_answer = role_nothing_on_answer, .on_late = role_nothing, .finishes = role_never_finishes
/* Members of a role whose answers are complete when they begin. */
#define ROLE_WRITES_AT_ONCE .on_written = role_nothing
/* Members of a role whose streams, if it has any, have one cursor for each channel. */
#define ROLE_NEVER_FINISHES .on_finish = role_nothing
/* Members of a role that does not wait for messages. */
#define ROLE_NEVER_WAITS .left_ms = role_nothing_left_ms
/* Members of a role that does not upgrade. */
#define ROLE_READS_NOTHING .on_read = role_nothing_on_read, .give_up = role_nothing_give_up
/* Members of a role whose only streams are refusals. */
#define ROLE_NEVER_STREAMS                                                                                                       \
  ROLE_READS_NOTHING, ROLE_NEVER_FINISHES, .on_silent = role_nothing, .on_mail = role_nothing_on_mail,                           \
                                           .on_flushed = role_nothing, .close = exchange_close_stream,                           \
                                           .silence_ms = role_heartbeat_ms, .outbox_limit = role_outbox_limit
/* Members of a role that answers within `start`. */
#define ROLE_ANSWERS_AT_ONCE ROLE_ASKS_NOTHING, ROLE_WRITES_AT_ONCE, ROLE_NEVER_WAITS, ROLE_NEVER_STREAMS

/* Returns true if every member is set. */
bool role_is_complete(const struct role *role);

VISIBILITY_POP

#endif
