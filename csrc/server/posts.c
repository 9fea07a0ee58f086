#include "server/posts.h"

#include "server/server.h"
#include "session/command.h"
#include "transport/follow.h"

static struct mw_server *server_of(struct app *app) { return container_of(app, struct mw_server, app); }
static struct script *script_of(struct app *app) { return &server_of(app)->script; }

static void post_ask(struct app *app, struct script_job *job) { script_post_begin(script_of(app), job); }
static void post_cancel(struct app *app, struct script_job *job) { script_post_cancel(script_of(app), job); }
static void post_leave(struct app *app, struct membership *membership) { script_post_leave(script_of(app), membership); }
static void post_leave_socket(struct app *app, struct mw_socket *socket) { script_post_socket_leave(script_of(app), socket); }
static void post_end_stream(struct app *app, struct script_job *job) { script_post_stream_end(script_of(app), job); }
static void post_end_follow(struct app *app, struct mw_follow *follow) { script_post_follow_end(script_of(app), follow); }
static void post_tell(struct app *app, struct script_job *job) { script_post(script_of(app), job); }

const struct script_posts server_script_posts = {.ask = post_ask,
                                                 .cancel = post_cancel,
                                                 .leave = post_leave,
                                                 .leave_socket = post_leave_socket,
                                                 .end_stream = post_end_stream,
                                                 .end_follow = post_end_follow,
                                                 .tell = post_tell};

static int post_worker(struct app *app, struct mail *mail) {
  int status = mailbox_post(&server_of(app)->workers[mail->to.worker].mailbox, mail);
  if (status == MW_EUNAVAILABLE) limit_count(&app->limits, MW_LIMIT_QUEUE);
  return status;
}

const struct worker_posts server_worker_posts = {.post = post_worker,
                                                 .command = &session_command_class,
                                                 .raw = &exchange_raw_class,
                                                 .follow = &follow_class,
                                                 .cancel_follow = &follow_cancel_class};
