/* A request of a worker to the script for one client, and its answer. It travels between the two by
 * reference.
 *
 * To join channels, the app answers several questions (authenticate, authorize, open, join); for an
 * HTTP request, one. A job has one owner at a time: the worker until it is posted, the script until
 * it is answered, and then the worker again. Two threads use its reference count, and `cancelled`.
 * What must be undone stays with the worker as memberships. */
#ifndef MOONWIRE_APP_SCRIPT_JOB_H
#define MOONWIRE_APP_SCRIPT_JOB_H

#include "app/client.h"
#include "app/config.h"
#include "app/http_copy.h"
#include "app/job_channel.h"
#include "app/keys/send_key.h"
#include "app/membership.h"
#include "app/raw_data.h"
#include "base/buffer.h"
#include "base/list.h"
#include "hub/id.h"
#include "hub/message.h"

VISIBILITY_PUSH

struct open_channel;
struct script;

/* A question to the app. One at a time for each job, and one for each channel that opens or
 * closes. */
struct mw_request {
  struct list link; /* in the server's list of questions without an answer, oldest first */
  enum mw_request_type type;
  /* NULL: the script has ended, and no answer is needed */
  struct script *script;
  struct script_job *job;                        /* or */
  struct leaving *leaving;                       /* for LEAVE, DISCONNECT, and SOCKET_CLOSE, or */
  struct open_channel *open_channel;             /* for OPEN and CLOSE */
  void (*on_answer)(struct mw_request *request); /* it was answered. Its owner sets it */
  uint64_t asked_ms;
  bool waiting, cancelled;
  void *context; /* of the app */
};

/* A task of the script for a client: one at a time, in the order of arrival. */
struct script_task {
  const struct script_task_class *class;
  struct mw_request *request; /* its question to the app, if it has one */
  struct mw_client *client;   /* its client; NULL: none */
  /* in the list of tasks that wait for it, for a channel to open, for an answer, or to continue */
  struct list link;
  struct list followers; /* tasks that wait until it is done, while it is the client's first */
};

/* Undoes memberships, and notifies the app that a raw WebSocket has ended. Its owner is the job
 * that contains it, or itself. */
struct leaving {
  struct script_task task;
  struct mw_request request;
  struct membership *memberships; /* the first one is being undone */
  struct mw_socket *socket;       /* one reference; NULL: none */
  /* one reference to the job that contains it; NULL: it stands alone */
  struct script_job *job;
  /* the app received the question on the first membership, or on the socket */
  bool asked;
  bool running;                       /* inside the loop that takes its steps */
  char reason[MEMBERSHIP_REASON_MAX]; /* of DISCONNECT, terminated */
};

enum job_type {
  JOB_JOIN,    /* a client connects, joins channels, or both */
  JOB_MESSAGE, /* a client sent an event */
  JOB_HISTORY, /* a client reads a history, which must be fetched; the app is not asked */
  JOB_SLOW,    /* a client is slow; no answer is needed */
  JOB_HTTP,
  JOB_STREAM,
  JOB_SOCKET,        /* a request for a raw WebSocket */
  JOB_SOCKET_MESSAGE /* a raw WebSocket sent a message */
};

/* How far a job has come that leads to subscriptions (session/admission.h). */
enum admission_step {
  ADMISSION_NONE,
  ADMISSION_FOLLOWED, /* there is an interest in its channels */
  ADMISSION_DONE      /* and their histories are known */
};

enum job_step {
  STEP_AUTHENTICATE,
  STEP_CONNECT,
  STEP_AUTHORIZE,
  STEP_OPEN,
  STEP_JOIN,
  STEP_PRESENCE,
  STEP_MESSAGE,
  STEP_SLOW,
  STEP_SOCKET,
  STEP_JOINED, /* everything is done */
  STEP_OVER    /* the worker has the answer */
};

struct script_job {
  atomic_uint refs;
  enum job_type type;
  /* Posted to the script with the request, back with its answer, and to the script again when its
   * raw stream has ended. mail.to: the worker's session. */
  struct mail mail;
  struct mail cancel;                /* to the script, even while `mail` is posted */
  struct raw_data end;               /* from the script: the app ends its raw stream */
  const struct mail_class *answered; /* handles the answer on the worker */
  struct mw_config *config;
  struct mw_client *client;
  struct http_copy *http; /* NULL if no question needs it */
  int route;
  atomic_bool cancelled; /* the client has disconnected, or was answered already */
  /* The client was identified here, by a token or a ticket: until when, in milliseconds since 1970;
   * 0: without end. */
  bool is_identified;
  uint64_t expires_ms;
  /* For joining. */
  bool envelope;              /* as an event stream with one */
  struct since since, before; /* before, limit: of JOB_HISTORY */
  size_t limit;
  uint8_t admission; /* enum admission_step */
  /* the client connects by this job: CONNECT, and DISCONNECT at the end */
  bool connects;
  struct membership *connection; /* undone by DISCONNECT, as job_channel.membership */
  /* the sender of a message is not a subscriber: it is authorized for this message */
  bool transient;
  bool relayed; /* the message is relayed without the app */
  bool permits; /* there is no message: it asks whether the channels may be read */
  bool by_app;  /* the app subscribed the client, without authorize; no answer is needed */
  bool kept;    /* its raw stream or raw WebSocket is open */
  bool streams; /* it has begun a raw stream; `status` and `fields` are its head */
  bool awaited; /* by a request, which is refused after limits.answer_seconds */
  size_t channel_count;
  struct job_channel *channels; /* after the struct */
  /* For a message; its texts are in `text`. */
  struct mw_message message;
  struct bytes idempotency_key; /* empty: none */
  struct send_key *send_key;    /* it is the first with that key, and must be answered */
  struct blob *text;
  struct buffer input; /* of a raw WebSocket's message, instead of `text` */
  size_t input_size;   /* its initial size */
  /* For a raw WebSocket. */
  struct mw_socket *socket; /* one reference; NULL before the app has accepted */
  struct bytes protocol;    /* text of the config, or empty */
  /* For the script. */
  struct script_task task;
  struct leaving leaving; /* undoes what was done before a refusal */
  struct mw_request request;
  enum job_step step;
  size_t at;       /* the channel of the step */
  size_t entering; /* its channels whose members a broker has yet to count it in */
  bool running;    /* inside the loop that takes its steps */
  bool late;       /* it is awaited, and has taken too long */
  /* For the worker: commands for the client that arrived in the meantime, and must wait for the
   * answer. */
  struct mail *held, *held_last; /* in the order of arrival */
  size_t held_size;
  /* The answer. status is 0 before it; 200 means accepted. */
  int status;
  /* of a refusal: terminated, texts of `refusal` or of the program; else empty */
  const char *code, *reason;
  struct blob *refusal;
  uint32_t retry_ms;                 /* of a refusal: after which the same may succeed; 0: unknown */
  const struct job_channel *refused; /* the channel that is refused; NULL: the client */
  struct blob *fields, *body;        /* of an HTTP response; body: also of an acknowledgement */
  /* the body is the id of the event that was relayed, and not JSON */
  bool body_is_id;
  /* borrowed: the app's handle, which refers to this job; NULL after the app has released it */
  _Atomic(struct mw_stream *) stream;
  struct mw_follow *follow; /* what a raw stream follows, which is the worker's; or whose job this is */
  void (*on_stream_end)(struct mw_stream *stream);
};

/* The text of a refusal if the script cannot be asked: most often, a queue is full. */
extern const char waiting_refusal[];

/* Returns a job with one reference, or NULL if out of memory: then nothing was taken. Keeps config
 * (that of the channels' kinds, if any) and client (may be NULL), takes http (may be NULL), copies
 * channels and names. With JOB_JOIN and a client, makes memberships where they may be needed. */
struct script_job *job_new(enum job_type type, struct mw_config *config, struct mw_client *client, struct http_copy *http,
                           const struct job_channel *channels, size_t channel_count);
/* Holds mail that must wait for the answer; takes it. */
void job_hold(struct script_job *job, struct mail *mail);
/* Removes the first of that mail, after the answer, or returns NULL if there is none. */
struct mail *job_take_held(struct script_job *job);
/* Releases a job whose answer is not needed. Notifies the app that the raw stream of the job has
 * ended, if it has begun one: then only on the script's thread. */
void job_drop(struct script_job *job);
struct script_job *job_ref(struct script_job *job);
void job_unref(struct script_job *job); /* NULL is allowed */
/* Returns the bytes that it carries for the client. */
size_t job_size(const struct script_job *job);
/* Returns true if the app must answer before it can join. */
bool job_needs_script(const struct script_job *job);
/* Lets the client connect by this job. Returns false if out of memory. */
bool job_connect(struct script_job *job);
/* Takes the memberships that must be undone out of the job: a list, in the order of the channels,
 * with the connection last. */
struct membership *job_take_memberships(struct script_job *job);
/* Copies the message of a verb. Returns 0 or MW_ENOMEM. */
struct verb;
int job_set_message(struct script_job *job, const struct verb *verb);
/* Returns the message as the relayed event that others receive, borrowed from the job. */
struct message_parts job_message_parts(const struct script_job *job);
/* For a message with an idempotency key: checks whether it is the first with that key, waits for
 * the answer of the first, or receives it. */
enum send_key_turn job_enter_key(struct script_job *job, struct send_keys *keys, uint64_t now_ms);
/* Keeps the answer for its key, unless a repeated send may succeed where this one did not. Lets the
 * sends that waited continue. */
void job_settle_key(struct script_job *job, struct send_keys *keys, uint64_t now_ms, struct list *ready);
/* Sets a refusal. Copies at most 64 bytes of the code and 255 of the reason. If out of memory, the
 * refusal says that. */
void job_refuse(struct script_job *job, int status, const char *code, const char *reason);
/* The same for a negative status of the orderer (order_refusal). */
void job_refuse_order(struct script_job *job, int status);

VISIBILITY_POP

#endif
