/* A server that verifies tokens, with a clock that the test moves. */
#ifndef MOONWIRE_TEST_SUPPORT_TOKEN_TOKEN_APP_H
#define MOONWIRE_TEST_SUPPORT_TOKEN_TOKEN_APP_H

#include "test/support/memory_peer.h"
#include "test/support/token/token_keys.h"

/* Kinds: "room:{id}" by the claim "channels", with history; "open:{id}" for all, with history;
 * "hall:{id}" with presence. A raw WebSocket at "/raw". */
struct token_app {
  struct mw_server *server;
  unsigned keep; /* bits 1 << enum mw_request_type: the request is kept */
  struct mw_request *kept;
  unsigned asked[32]; /* requests, by type */
  char reasons[1024]; /* of MW_REQUEST_DISCONNECT: "expired; " */
};

void token_app_start(struct token_app *app);
void token_app_finish(struct token_app *app);
/* Moves the time, in seconds. */
void token_app_pass(struct token_app *app, unsigned seconds);
/* Returns a token of that user that expires in so many seconds, valid until the next call. `more`
 * is appended to the claims (",\"channels\":[…]"), or "". */
const char *token_of(struct token_app *app, const char *sub, int seconds, const char *more);
/* Publishes {"n":n} to the channel. */
void token_app_publish(struct token_app *app, const char *channel, int n);

/* Opens a connection and sends "GET <target>" with "Authorization: Bearer <token>" if it is not
 * NULL, and with further fields. Returns the status. */
int token_get(struct token_app *app, struct memory_peer *peer, const char *target, const char *token, const char *fields);
/* The same for a WebSocket; 101. */
int token_upgrade(struct token_app *app, struct memory_peer *peer, const char *target, const char *token, const char *fields);
/* Connects with moonwire.1 and the token, and returns the answer, valid until the next call. */
const char *token_connect(struct token_app *app, struct memory_peer *peer, const char *token);
/* Sends a text frame, and returns the next frame, valid until the next call; "" if there is none. */
const char *token_ask(struct memory_peer *peer, const char *text);
const char *token_next(struct memory_peer *peer);
/* Posts to /send in the name of the client. Returns the status. */
int token_send(struct token_app *app, const char *client, const char *token, const char *body, char answer[1024]);
/* Returns true if everything that was received contains the text. */
bool token_got(struct memory_peer *peer, const char *text);
/* Copies the value of the member "client", or of "id:" in an event stream. */
void token_find(const char *text, const char *before, char out[64]);

#endif
