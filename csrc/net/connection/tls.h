/* TLS of a connection that we open, as a filter of bytes: OpenSSL, which reads from and writes into
 * memory (RFC 8446, RFC 5246). The certificate and the name of the peer are verified unless the
 * caller says otherwise. */
#ifndef MOONWIRE_NET_TLS_H
#define MOONWIRE_NET_TLS_H

#include "base/buffer.h"

VISIBILITY_PUSH

struct tls;

/* Contexts by their file of trusted certificates, each of which is read once. */
enum { TLS_CONTEXTS_MAX = 8 };
struct tls_contexts {
  struct tls_context {
    void *context; /* SSL_CTX */
    char *ca_file; /* NULL: those of the system */
  } items[TLS_CONTEXTS_MAX];
  size_t count;
};
void tls_contexts_deinit(struct tls_contexts *contexts);

struct tls_options {
  struct bytes name;   /* a host name or an IP address, which the certificate must have */
  const char *ca_file; /* trusted certificates (PEM); NULL: those of the system */
  bool is_unverified;  /* any certificate is accepted */
};

enum { TLS_PROBLEM_SIZE = 200 };

/* Returns 0, MW_ENOMEM, or MW_EINVAL with the cause in `problem`. The caller frees it. */
int tls_new(struct tls **tls, struct tls_contexts *contexts, const struct tls_options *options, char problem[TLS_PROBLEM_SIZE]);
void tls_free(struct tls *tls);

/* Takes what the peer has sent. MW_ENOMEM. */
int tls_feed(struct tls *tls, struct bytes sent);
/* Continues the handshake. Returns 0 when it is complete, MW_PENDING, or MW_EFORGED: it failed, and
 * `problem` states why. */
int tls_handshake(struct tls *tls, char problem[TLS_PROBLEM_SIZE]);
/* Appends up to `most` bytes of what was fed to `out`. Returns 0: no more for now, MW_PENDING: there
 * may be more, MW_ECLOSED: the peer has ended the stream, MW_EFORGED: invalid data, MW_ENOMEM. */
int tls_read(struct tls *tls, struct buffer *out, size_t most);
/* Encrypts. MW_EFORGED, MW_ENOMEM. */
int tls_write(struct tls *tls, struct bytes bytes);
/* Writes the hash of the peer's certificate that binds a login to this connection
 * (tls-server-end-point, RFC 5929). Returns its length, or MW_EINVAL if there is none. */
enum { TLS_BINDING_MAX = 64 };
int tls_binding(const struct tls *tls, unsigned char out[TLS_BINDING_MAX]);
/* Writes the peer's certificate (DER). Returns its length, MW_ETOOLARGE, or MW_EINVAL if there is
 * none. */
int tls_certificate(const struct tls *tls, unsigned char *out, size_t size);
/* Adds the end of our stream to the output. */
void tls_end(struct tls *tls);
/* Moves what must be sent to the peer to the end of `out`. MW_ENOMEM. */
int tls_take_output(struct tls *tls, struct buffer *out);

VISIBILITY_POP

#endif
