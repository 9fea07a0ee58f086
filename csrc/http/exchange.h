/* One request of a connection and its answer, which may be a stream that lasts for days. */
#ifndef MOONWIRE_HTTP_EXCHANGE_H
#define MOONWIRE_HTTP_EXCHANGE_H

#include "app/script_job.h"
#include "codec/http/http_fields.h"
#include "delivery/slots.h"
#include "delivery/subscriber.h"
#include "http/http.h"
#include "http/protocol.h"
#include "http/role.h"
#include "hub/channel.h"

VISIBILITY_PUSH

struct exchange;
struct budget;
struct request;
struct rope;

enum exchange_state {
  EXCHANGE_IDLE,      /* between requests */
  EXCHANGE_READING,   /* a head has come, its body is coming */
  EXCHANGE_ASKING,    /* the script is asked, or a file is opened */
  EXCHANGE_WAITING,   /* for messages: a poll */
  EXCHANGE_ANSWERING, /* the answer is being written */
  EXCHANGE_STREAMING, /* the answer goes on: an event stream */
  EXCHANGE_ENDING,    /* the last bytes of a stream are being written */
  EXCHANGE_OVER       /* nothing follows */
};

enum exchange_flag {
  EXCHANGE_TAKES_OVER = 1 << 0, /* its peer deflates a message with what came before it */
  EXCHANGE_CONNECTING = 1 << 2, /* has not said who it is */
  EXCHANGE_COUNTED = 1 << 3,    /* among the users of its wire format */
  EXCHANGE_PINGED = 1 << 4,     /* was asked for a sign of life */
  EXCHANGE_STOPPED = 1 << 5,    /* nothing is read from the peer, because what it sent is queued */
  EXCHANGE_DUE = 1 << 6         /* closes at its deadline, whatever the peer still sends */
};

struct exchange {
  struct subscriber subscriber; /* its sink is one of its protocol's (exchange_class) */
  const struct role *role;      /* set by exchange_become alone; NULL: the answer is complete, or there is no request */
  struct request
      *request; /* part of what its protocol has of it beyond the least, or NULL; asked for by exchange_request alone */
  uint32_t slot;
  uint8_t state;       /* enum exchange_state; changed by exchange_set_state alone */
  uint8_t of_protocol; /* flags of its protocol */
  uint16_t flags;
};

void exchange_init(struct exchange *exchange, struct conn_class *class);
/* Returns the exchange whose subscriber that is. NULL: it is another's, or `subscriber` is NULL. */
struct exchange *exchange_of(struct subscriber *subscriber);
/* The exchange is over, and its memory is about to go: no list has it after this. Its protocol
 * has freed its request. */
void exchange_deinit(struct exchange *exchange);
/* What it shares with all exchanges of its protocol on its worker. */
static inline struct conn_class *exchange_class(const struct exchange *exchange) {
  return container_of(exchange->subscriber.sink, struct exchange_sink, sink)->class;
}
static inline const struct protocol *exchange_protocol(const struct exchange *exchange) {
  return exchange_class(exchange)->protocol;
}
static inline struct http *exchange_http(const struct exchange *exchange) { return exchange_class(exchange)->http; }
static inline struct app *exchange_app(const struct exchange *exchange) { return exchange_http(exchange)->app; }
static inline struct mw_config *exchange_config(const struct exchange *exchange) { return exchange_app(exchange)->config; }
static inline struct delivery *exchange_delivery(const struct exchange *exchange) { return exchange->subscriber.sink->delivery; }
/* Returns the exchange whose subscriber has that address; NULL: it has ended. */
struct exchange *exchange_find(const struct http *http, struct address address);
/* How its client speaks, and the form that its stream has. Set before something is pushed. */
static inline const struct dialect *exchange_dialect(const struct exchange *exchange) {
  return container_of(exchange->subscriber.sink, struct http_sink, sink)->dialect;
}
static inline const struct form_class *exchange_form(const struct exchange *exchange) { return exchange->subscriber.sink->form; }
void exchange_set_dialect(struct exchange *exchange, const struct dialect *dialect, const struct form_class *form);
/* Its stream has chunks of HTTP/1, or has none: called by its protocol when it begins. */
void exchange_set_chunked(struct exchange *exchange, bool chunked);
/* The question that is with the script, or what the app is told of when this ends: a reference.
 * NULL: none. */
struct script_job *exchange_job(struct exchange *exchange);
/* Returns where that is kept; NULL: there is no place for it now. */
struct script_job **exchange_question(struct exchange *exchange);
void exchange_set_job(struct exchange *exchange, struct script_job *job);
/* The only way from state to state; asserts that the step is allowed. */
void exchange_set_state(struct exchange *exchange, enum exchange_state state);
/* The request that it answers; NULL once the answer streams. */
struct request *exchange_request(struct exchange *exchange);
/* The request is with somebody who has a copy of what it needs, or waits: gives back all but
 * what the answer depends on (http/request.h). */
void exchange_shed(struct exchange *exchange);
/* Writes where the peer is, terminated (stream_remote). */
void exchange_remote(struct exchange *exchange, char *out, size_t size);
/* Gives the exchange a role. The role before must have ended. */
void exchange_become(struct exchange *exchange, const struct role *role);
/* Ends its role, if there is one: on_end is called, and nothing else of that role any more. */
void exchange_end_role(struct exchange *exchange);
/* Gives its slot back: whoever still holds that name means a request that is over, and must not
 * find the next one. */
void exchange_release_name(struct exchange *exchange);
/* Closes a stream by its role; does nothing in any other state. */
void exchange_close(struct exchange *exchange, enum close_reason reason, const char *text);

/* It is over, however that came: ends, and nothing follows. */
void exchange_finish(struct exchange *exchange);

/* ---- Its protocol ---- */

/* Gives the exchange up. With a reset, what is queued for the peer is lost. */
void exchange_disconnect(struct exchange *exchange);
void exchange_reset(struct exchange *exchange);
/* Continues with the input that was put off (http/budget.h). */
void exchange_resume(struct exchange *exchange);
/* The budget of the request that is read or answered; NULL: there is none. */
struct budget *exchange_budget(struct exchange *exchange);
/* Gives the unfinished body up, with a refusal. */
void exchange_give_up(struct exchange *exchange);
/* Stops reading from the peer (EXCHANGE_STOPPED), or starts again. */
void exchange_read(struct exchange *exchange, bool on);

/* ---- What its protocol calls (http/exchange_request.c) ---- */

/* The head of exchange->request has come: finds who answers. False if out of memory: then it is
 * reset, since a client that is disconnected reconnects, while a stream that is refused does
 * not. */
bool exchange_read_head(struct exchange *exchange);
/* The request is complete: has it answered, or refused. */
void exchange_start(struct exchange *exchange);
/* Refuses it as exchange_read_head has found. */
void exchange_refuse_request(struct exchange *exchange);
/* Finds, in a head that was not read to its end, what the refusal needs. */
void exchange_salvage(struct exchange *exchange);

/* ---- Time (http/exchange_due.c) ---- */

/* How long its state may last. */
uint64_t exchange_delay_ms(struct exchange *exchange);
/* It has lasted as long. */
void exchange_on_due(struct exchange *exchange);
/* Sets the deadline again, after what it depends on has changed (role->silence_ms). */
void exchange_set_deadline(struct exchange *exchange);
/* How long nothing was heard from the peer of a stream, or, where only writing counts, nothing
 * was written. */
uint64_t exchange_silent_ms(struct exchange *exchange);
/* The peer was heard, or is not to blame for its silence. */
void exchange_note_heard(struct exchange *exchange);
/* A peer that only listens is alive as long as something is written to it. Called when that was. */
void exchange_note_writing(struct exchange *exchange);
/* The server stops: answers what waits, ends a stream, unless the role finishes it first.
 * is_due: in any case. */
void exchange_stop(struct exchange *exchange, bool is_due);

/* ---- Answers ---- */

struct answer {
  int status;
  const struct http_fields *fields; /* NULL: none */
  struct bytes content_type;        /* empty: none */
  struct bytes body;
  const struct rope *rope; /* in place of the body; NULL: the body */
};
/* Answers with all of it at once. */
void exchange_answer(struct exchange *exchange, const struct answer *answer);
/* Answers with {"error":{"code":…,"reason":…}}; `allow`, if not empty, becomes the Allow field. */
void exchange_refuse(struct exchange *exchange, int status, const char *code, const char *reason, struct bytes allow);
/* The same with fields of its own; NULL: none. */
void exchange_refuse_with(struct exchange *exchange, int status, const char *code, const char *reason,
                          const struct http_fields *more_fields);
/* Answers with text that is such an object. */
void exchange_answer_error(struct exchange *exchange, int status, struct bytes text);
/* True if what was refused with that status may be granted when it is tried again (0: there was
 * no answer). */
bool exchange_is_temporary(int status);
/* Refuses one of several channels, so that its client may ask again without it:
 * {"channel":…,"error":…}. */
void exchange_refuse_channel(struct exchange *exchange, int status, const char *code, const char *reason, struct bytes channel);
/* The code of the protocol that goes with a status. */
const char *exchange_code(int status);
/* Begins an answer whose body of `length` bytes the role pushes by and by. */
void exchange_begin(struct exchange *exchange, int status, const struct http_fields *fields, uint64_t length);
/* The body that exchange_begin announced is complete. */
void exchange_complete(struct exchange *exchange);
/* Answers HEAD of an event stream: with its head, as all of it. */
void exchange_answer_stream_head(struct exchange *exchange);
/* Begins an event stream, with `text` as its first bytes. */
void exchange_stream(struct exchange *exchange, struct bytes text);
void exchange_stream_rope(struct exchange *exchange, const struct rope *text);
/* Upgrades to a WebSocket: what the peer sends, and has sent ahead, is for role->on_read.
 * `fields` are those of the answer besides what every upgrade has. False, and nothing happened,
 * if the library of hashes fails. */
bool exchange_upgrade(struct exchange *exchange, const struct http_fields *fields);
/* Ends the stream as HTTP has it. */
void exchange_end_stream(struct exchange *exchange);
/* Ends the stream without a word. */
void exchange_close_stream(struct exchange *exchange, const struct closing *closing);

/* Asks the script; takes the job. The answer comes by role->on_answer or role->on_late. False:
 * no memory, or too much is waiting already, and the job is gone. */
bool exchange_ask(struct exchange *exchange, struct script_job *job);
/* Hands a struct raw_data to the role (role->on_mail). */
extern const struct mail_class exchange_raw_class;

/* ---- Writing ---- */

/* Appends a part of a blob to what is written, keeping a reference. A stream over limits.outbox,
 * not counting the messages of channels, is marked slow, one without memory broken. */
void exchange_push(struct exchange *exchange, struct blob *blob, struct bytes part);
/* Pushes all of a rope, or, over the limit, nothing of it. */
void exchange_push_rope(struct exchange *exchange, const struct rope *rope);
/* Something was lost on the way, for lack of memory mostly: it is cut off at the end of the
 * turn, so that the peer returns and is told. */
void exchange_break(struct exchange *exchange);
/* It is over: leaves its channels, tells the script, gives back what it holds. */
void exchange_end(struct exchange *exchange);

VISIBILITY_POP

#endif
