/* Turns the app's calls for one client into commands for the client's worker. On the script's
 * thread. */
#ifndef MOONWIRE_SCRIPT_CLIENT_CALLS_H
#define MOONWIRE_SCRIPT_CLIENT_CALLS_H

#include "app/app.h"

VISIBILITY_PUSH

/* As mw_client_send, mw_client_close, mw_client_subscribe, mw_client_unsubscribe. */
int client_call_send(struct app *app, struct mw_client *client, const struct mw_publish *push, struct mw_error *error);
int client_call_close(struct app *app, struct mw_client *client, int code, const char *reason);
int client_call_subscribe(struct app *app, struct mw_client *client, struct bytes channel);
/* An empty `code`: the client is not notified. */
int client_call_unsubscribe(struct app *app, struct mw_client *client, struct bytes channel, const char *code,
                            const char *reason);

/* As mw_server_close_user, without the tickets. */
size_t client_call_close_user(struct app *app, struct bytes user_id, const char *reason);

VISIBILITY_POP

#endif
