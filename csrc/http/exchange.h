/* One request of a connection and its answer, which may be a stream that lasts for days. Only the
 * worker's thread uses it. */
#ifndef MOONWIRE_HTTP_EXCHANGE_H
#define MOONWIRE_HTTP_EXCHANGE_H

#include "app/script_job.h"
#include "codec/http/http_fields.h"
#include "codec/proxy/forwarded.h"
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
  EXCHANGE_READING,   /* a head has arrived; its body is arriving */
  EXCHANGE_ASKING,    /* the script's answer, or a file, is awaited */
  EXCHANGE_WAITING,   /* for messages: a poll */
  EXCHANGE_ANSWERING, /* the answer is being written */
  EXCHANGE_STREAMING, /* the answer is an event stream, or the connection is upgraded */
  EXCHANGE_ENDING,    /* the last bytes of a stream are being written */
  EXCHANGE_OVER       /* nothing follows */
};

enum exchange_flag {
  EXCHANGE_TAKES_OVER = 1 << 0, /* its peer deflates a message with what came before it */
  EXCHANGE_CONNECTING = 1 << 2, /* no identity yet: connect has not been answered */
  EXCHANGE_COUNTED = 1 << 3,    /* among the users of its wire format */
  EXCHANGE_PINGED = 1 << 4,     /* has a ping to answer */
  EXCHANGE_STOPPED = 1 << 5,    /* the peer is not read, because what it sent is queued */
  EXCHANGE_DUE = 1 << 6         /* closes at its deadline, regardless of what the peer sends */
};

struct exchange {
  struct subscriber subscriber; /* its sink belongs to its protocol (exchange_class) */
  /* set by exchange_become alone; NULL: the answer is complete, or there is no request */
  const struct role *role;
  /* NULL, or part of what its protocol keeps beyond the least; use exchange_request */
  struct request *request;
  uint32_t slot;
  uint8_t state;       /* enum exchange_state; changed by exchange_set_state alone */
  uint8_t of_protocol; /* flags of its protocol */
  uint16_t flags;
};

void exchange_init(struct exchange *exchange, struct conn_class *class);
/* Returns the exchange of a subscriber, or NULL if the subscriber is NULL or not an exchange's. */
struct exchange *exchange_of(struct subscriber *subscriber);
/* Called when the exchange has ended, before its memory is freed. Removes it from every list. Its
 * protocol has freed its request. */
void exchange_deinit(struct exchange *exchange);
/* Returns what it shares with all exchanges of its protocol on its worker. */
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
/* Returns the exchange whose subscriber has that address, or NULL if it has ended. */
struct exchange *exchange_find(const struct http *http, struct address address);
/* How its client speaks, and the form that its stream has. Set before something is pushed. */
static inline const struct dialect *exchange_dialect(const struct exchange *exchange) {
  return container_of(exchange->subscriber.sink, struct http_sink, sink)->dialect;
}
static inline const struct form_class *exchange_form(const struct exchange *exchange) { return exchange->subscriber.sink->form; }
void exchange_set_dialect(struct exchange *exchange, const struct dialect *dialect, const struct form_class *form);
/* Sets whether its stream has HTTP/1 chunks. Called by its protocol when the stream begins. */
void exchange_set_chunked(struct exchange *exchange, bool chunked);
/* Returns the job that is with the script, or, of a stream, the one that is returned to the app at
 * its end, or NULL. The exchange keeps its reference. */
struct script_job *exchange_job(struct exchange *exchange);
/* Returns where that job is kept, or NULL if there is no place for it now. */
struct script_job **exchange_question(struct exchange *exchange);
void exchange_set_job(struct exchange *exchange, struct script_job *job);
/* Changes the state. The only way to do so; asserts that the step is allowed. */
void exchange_set_state(struct exchange *exchange, enum exchange_state state);
/* Returns the request that it answers, or NULL after the answer has become a stream. */
struct request *exchange_request(struct exchange *exchange);
/* Frees everything that the answer does not depend on (http/request.h). Called when the request
 * waits, or the script has a copy of what it needs. */
void exchange_shed(struct exchange *exchange);
/* Writes the client's address, terminated (remote_write). */
void exchange_remote(struct exchange *exchange, char *out, size_t size);
/* Return what a trusted proxy says of the scheme, and whether the peer is one (http/admission/remote.h). */
enum scheme exchange_scheme(struct exchange *exchange);
bool exchange_is_trusted(struct exchange *exchange);
/* Returns "http", "https", or nothing if it is unknown: a constant. */
struct bytes exchange_scheme_text(struct exchange *exchange);
/* Gives the exchange a role. The previous role must have ended. */
void exchange_become(struct exchange *exchange, const struct role *role);
/* Ends its role, if there is one: calls on_end, and no function of that role after it. */
void exchange_end_role(struct exchange *exchange);
/* Releases its slot. A reference that is still kept by that name means a request that has ended,
 * and must not find the next one. */
void exchange_release_name(struct exchange *exchange);
/* Closes a stream by its role. Does nothing in any other state. */
void exchange_close(struct exchange *exchange, enum close_reason reason, const char *text);

/* Ends the exchange, for any reason. Nothing follows. */
void exchange_finish(struct exchange *exchange);

/* ---- Its protocol ---- */

/* Gives up the exchange. exchange_abort resets it: data that is queued for the peer is lost. */
void exchange_disconnect(struct exchange *exchange);
void exchange_reset(struct exchange *exchange);
/* Continues with the input that was put off (http/budget.h). */
void exchange_resume(struct exchange *exchange);
/* Returns the budget of the request that is read or answered, or NULL. */
struct budget *exchange_budget(struct exchange *exchange);
/* Drops the incomplete body, and refuses the request. */
void exchange_give_up(struct exchange *exchange);
/* Stops reading from the peer (EXCHANGE_STOPPED), or starts again. */
void exchange_read(struct exchange *exchange, bool on);

/* ---- What its protocol calls (http/exchange_request.c) ---- */

/* Finds the role for exchange->request, whose head has arrived. Returns false if out of memory:
 * then the caller resets the exchange, since a client that is disconnected reconnects, and one
 * whose stream is refused does not. */
bool exchange_read_head(struct exchange *exchange);
/* Called when the request is complete: has its role answer it, or refuses it. */
void exchange_start(struct exchange *exchange);
/* Refuses the request with the reason that exchange_read_head found. */
void exchange_refuse_request(struct exchange *exchange);
/* Finds what the refusal needs in a head that was not read to its end. */
void exchange_salvage(struct exchange *exchange);

/* ---- Time (http/exchange_due.c) ---- */

/* Called when its state has lasted as long as it may. */
void exchange_on_due(struct exchange *exchange);
/* Sets the deadline again after a change of what it depends on (role->silence_ms). */
void exchange_set_deadline(struct exchange *exchange);
/* Returns the time since the peer of a stream last sent something, or, if only writing counts,
 * since the last write. */
uint64_t exchange_silent_ms(struct exchange *exchange);
/* Notes that the peer has sent something, or could not. */
void exchange_note_heard(struct exchange *exchange);
/* Notes a write: a peer that only receives is alive as long as writes succeed. */
void exchange_note_writing(struct exchange *exchange);
/* Called when the server stops. Answers a request that waits, and ends a stream, unless the role
 * finishes it first. is_due: always. */
void exchange_stop(struct exchange *exchange, bool is_due);

/* ---- Answers ---- */

struct answer {
  int status;
  const struct http_fields *fields; /* NULL: none */
  struct bytes content_type;        /* empty: none */
  struct bytes body;
  const struct rope *rope; /* in place of the body; NULL: the body */
};
/* Answers with the complete body. */
void exchange_answer(struct exchange *exchange, const struct answer *answer);
/* Answers with {"error":{"code":…,"reason":…}}. An `allow` that is not empty becomes the Allow
 * field. */
void exchange_refuse(struct exchange *exchange, int status, const char *code, const char *reason, struct bytes allow);
/* As exchange_refuse, with further fields (NULL: none). */
void exchange_refuse_with(struct exchange *exchange, int status, const char *code, const char *reason,
                          const struct http_fields *more_fields);
/* As exchange_refuse, with the time after which the same request may succeed (0: unknown). */
void exchange_refuse_later(struct exchange *exchange, int status, const char *code, const char *reason, uint32_t retry_ms);
/* Answers with `text`, which is such an object. retry_ms: after which the same request may succeed,
 * for Retry-After; 0: unknown. */
void exchange_answer_error(struct exchange *exchange, int status, struct bytes text, uint32_t retry_ms);
/* Returns true if a request that was refused with that status may succeed later. */
bool exchange_is_temporary(int status);
/* Refuses one of several channels, so that the client can retry without it:
 * {"channel":…,"error":…}. */
void exchange_refuse_channel(struct exchange *exchange, int status, const char *code, const char *reason, struct bytes channel);
/* Returns the error code of the protocol for a status. */
const char *exchange_code(int status);
/* Begins an answer whose body of `length` bytes the role pushes in parts. */
void exchange_begin(struct exchange *exchange, int status, const struct http_fields *fields, uint64_t length);
/* Ends the body that exchange_begin announced. */
void exchange_complete(struct exchange *exchange);
/* Answers HEAD of an event stream, with its head alone: that of exchange_stream_as. */
void exchange_answer_stream_head(struct exchange *exchange, int status, const struct http_fields *fields);
/* Begins an event stream, with `text` as its first bytes. */
void exchange_stream(struct exchange *exchange, struct bytes text);
void exchange_stream_rope(struct exchange *exchange, const struct rope *text);
/* Does the same with that status, and with fields that replace those of every stream if they have
 * their names. NULL: none. */
void exchange_stream_as(struct exchange *exchange, int status, const struct http_fields *fields, struct bytes text);
/* Answers with an event stream that ends immediately: a temporary refusal, after which an
 * EventSource reconnects. Not before retry_ms. */
void exchange_retry_later(struct exchange *exchange, uint32_t retry_ms);
/* Upgrades to a WebSocket: bytes of the peer, also those that are here already, go to
 * role->on_read. `fields` come in addition to those of every upgrade. Returns false, and does
 * nothing, if the hash library fails. */
bool exchange_upgrade(struct exchange *exchange, const struct http_fields *fields);
/* Ends the stream as HTTP requires. */
void exchange_end_stream(struct exchange *exchange);
/* Ends the stream without a last event. */
void exchange_close_stream(struct exchange *exchange, const struct closing *closing);

/* Asks the script; takes the job. The answer arrives by role->on_answer or role->on_late. Returns
 * false, and frees the job, if out of memory, or if limits.waiting or limits.queue is reached. */
bool exchange_ask(struct exchange *exchange, struct script_job *job);
/* Class of mail that brings a struct raw_data to the role (role->on_mail). */
extern const struct mail_class exchange_raw_class;

/* ---- Writing ---- */

/* Appends part of a blob to the unsent data; keeps a reference. Marks a stream over limits.outbox,
 * not counting messages of channels, slow, and one for which memory is missing broken. */
void exchange_push(struct exchange *exchange, struct blob *blob, struct bytes part);
/* Pushes the complete rope, or, over the limit, nothing of it. */
void exchange_push_rope(struct exchange *exchange, const struct rope *rope);
/* Marks the exchange broken: something was lost, mostly because out of memory. It is disconnected
 * at the end of the turn, so that the peer reconnects and receives what it missed. */
void exchange_break(struct exchange *exchange);
/* Ends the exchange: leaves its channels, notifies the script, and releases what it holds. */
void exchange_end(struct exchange *exchange);

VISIBILITY_POP

#endif
