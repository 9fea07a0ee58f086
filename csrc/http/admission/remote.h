/* Whom a connection, or one request on it, comes from: the peer, or the client for which a trusted
 * proxy has connected. Counts the connections of each address.
 *
 * A proxy tells its client's address once for the connection (the PROXY protocol), or for each
 * request (X-Forwarded-For, Forwarded). A connection has such a record only if a proxy is trusted,
 * or its address is counted. Only the worker's thread uses it. */
#ifndef MOONWIRE_HTTP_ADMISSION_REMOTE_H
#define MOONWIRE_HTTP_ADMISSION_REMOTE_H

#include "codec/proxy/proxy_header.h"
#include "http/conn.h"

VISIBILITY_PUSH

struct http_head;

/* Called when the connection begins. has_header: a trusted proxy must send a PROXY header first.
 * Returns 0; MW_ELIMIT: its address has too many connections; or MW_ENOMEM. */
int remote_begin(struct conn *conn, bool has_header);
/* Takes over what another worker knows: the request of a connection of its own is answered here.
 * `text` must outlive the requests. Nothing is counted. Returns 0 or MW_ENOMEM. */
int remote_adopt(struct conn *conn, const char *text, enum scheme scheme, bool is_trusted);
/* Called when it is closed. */
void remote_end(struct conn *conn);

/* Returns true if the PROXY header is not complete. */
bool remote_awaits_header(const struct conn *conn);
/* Takes the PROXY header from the beginning of *bytes. Returns 0 if it is complete, or more is
 * needed (then *bytes is empty); MW_EINVAL: it is malformed, and *fault states how; MW_ELIMIT or
 * MW_ENOMEM, as above. */
int remote_read_header(struct conn *conn, struct bytes *bytes, const char **fault);

/* Called with the head of each request. Returns 0, or MW_ELIMIT or MW_ENOMEM, as above. */
int remote_begin_request(struct conn *conn, const struct http_head *head);
/* Called when a request of HTTP was answered, and the connection stays open for others. */
void remote_end_request(struct conn *conn);

/* Writes the address of the client, terminated: as stream_remote. */
void remote_write(const struct conn *conn, char *out, size_t size);
/* Returns the scheme by which the client has connected, as far as a trusted proxy says it. */
enum scheme remote_scheme(const struct conn *conn);
/* Returns true if the peer is a trusted proxy. */
bool remote_is_trusted(const struct conn *conn);

VISIBILITY_POP

#endif
