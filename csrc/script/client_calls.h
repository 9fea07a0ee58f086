/* Turns the app's calls for one client into commands for the client's worker. On the script's
 * thread. */
#ifndef MOONWIRE_SCRIPT_CLIENT_CALLS_H
#define MOONWIRE_SCRIPT_CLIENT_CALLS_H

#include "app/app.h"

VISIBILITY_PUSH

/* As mw_client_send, mw_client_close, mw_client_subscribe, mw_client_unsubscribe. */
int client_call_send(struct app *app, struct mw_client *client, const struct mw_publish *push, struct mw_error *error);
/* Checks what is to be sent. `parts` borrows from `push`. MW_EINVAL, MW_ETOOLARGE, MW_EUNAVAILABLE. */
int client_call_read(struct app *app, const struct mw_publish *push, struct message_parts *parts, struct mw_error *error);
int client_call_close(struct app *app, struct mw_client *client, int code, const char *reason);
int client_call_subscribe(struct app *app, struct mw_client *client, struct bytes channel);
/* An empty `code`: the client is not notified. */
int client_call_unsubscribe(struct app *app, struct mw_client *client, struct bytes channel, const char *code,
                            const char *reason);

/* As mw_server_close_user, mw_server_send_user, and mw_server_kick_user, without the tickets, and without
 * the other servers. The message has no policy. */
size_t client_call_close_user(struct app *app, struct bytes user_id, const char *reason);
size_t client_call_send_user(struct app *app, struct bytes user_id, struct message *message);
int client_call_kick_user(struct app *app, struct bytes user_id, struct bytes channel, const char *code, const char *reason);

VISIBILITY_POP

#endif
