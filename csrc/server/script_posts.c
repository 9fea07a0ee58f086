#include "server/script_posts.h"

#include "server/server.h"

static struct mw_server *server_of(struct app *app) { return container_of(app, struct mw_server, app); }

static void post_ask(struct app *app, struct script_job *job) { script_post_begin(server_of(app), job); }
static void post_cancel(struct app *app, struct script_job *job) { script_post_cancel(server_of(app), job); }
static void post_leave(struct app *app, struct membership *membership) { script_post_leave(server_of(app), membership); }
static void post_leave_socket(struct app *app, struct mw_socket *socket) { script_post_socket_leave(server_of(app), socket); }
static void post_end_stream(struct app *app, struct script_job *job) { script_post_stream_end(server_of(app), job); }
static void post_tell(struct app *app, struct script_job *job) { script_post(server_of(app), job); }

const struct script_posts server_script_posts = {.ask = post_ask,
                                                 .cancel = post_cancel,
                                                 .leave = post_leave,
                                                 .leave_socket = post_leave_socket,
                                                 .end_stream = post_end_stream,
                                                 .tell = post_tell};
