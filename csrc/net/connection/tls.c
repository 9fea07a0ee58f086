#include "net/connection/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/status.h"

enum { READ_STEP = 16384, HOST_MAX = 253 };

struct tls {
  SSL *ssl;
  BIO *in, *out; /* of `ssl` */
};

/* ---- Contexts -------------------------------------------------------------------------------- */

void tls_contexts_deinit(struct tls_contexts *contexts) {
  for (size_t i = 0; i < contexts->count; i++) {
    SSL_CTX_free(contexts->items[i].context);
    memory_free(contexts->items[i].ca_file);
  }
  contexts->count = 0;
}

static void tls_write_problem(char *problem, const char *what) {
  char text[TLS_PROBLEM_SIZE / 2] = "";
  unsigned long code = ERR_get_error();
  const char *reason = code ? ERR_reason_error_string(code) : NULL;
  if (reason) snprintf(text, sizeof text, ": %s", reason);
  snprintf(problem, TLS_PROBLEM_SIZE, "%s%s", what, text);
  ERR_clear_error();
}

static int make_context(SSL_CTX **out, const char *ca_file, char *problem) {
  ERR_clear_error();
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (!context) return MW_ENOMEM;
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  int ok = ca_file ? SSL_CTX_load_verify_file(context, ca_file) : SSL_CTX_set_default_verify_paths(context);
  if (ok == 1) {
    *out = context;
    return 0;
  }
  SSL_CTX_free(context);
  tls_write_problem(problem, "cannot read the trusted certificates");
  return MW_EINVAL;
}

static bool is_of_file(const struct tls_context *context, const char *ca_file) {
  return context->ca_file && ca_file ? strcmp(context->ca_file, ca_file) == 0 : context->ca_file == ca_file;
}

static int find_context(SSL_CTX **out, struct tls_contexts *contexts, const char *ca_file, char *problem) {
  for (size_t i = 0; i < contexts->count; i++) {
    *out = contexts->items[i].context;
    if (is_of_file(&contexts->items[i], ca_file)) return 0;
  }
  if (contexts->count == TLS_CONTEXTS_MAX) {
    snprintf(problem, TLS_PROBLEM_SIZE, "more than %d files of trusted certificates", TLS_CONTEXTS_MAX);
    return MW_EINVAL;
  }
  char *copy = ca_file ? memory_copy(ca_file, strlen(ca_file)) : NULL;
  if (ca_file && !copy) return MW_ENOMEM;
  int status = make_context(out, ca_file, problem);
  if (status < 0) {
    memory_free(copy);
    return status;
  }
  contexts->items[contexts->count++] = (struct tls_context){*out, copy};
  return 0;
}

/* ---- One connection -------------------------------------------------------------------------- */

static bool name_peer(SSL *ssl, const struct tls_options *options) {
  char name[HOST_MAX + 1];
  struct bytes given = options->name;
  if (given.len > HOST_MAX || (given.len > 0 && memchr(given.ptr, '\0', given.len))) return false;
  if (given.len > 0) memcpy(name, given.ptr, given.len);
  name[given.len] = '\0';
  if (options->is_unverified) SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
  if (given.len == 0) return options->is_unverified;
  X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1) return true;
  ERR_clear_error();
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static struct tls *tls_alloc(SSL_CTX *context) {
  struct tls *tls = memory_calloc(1, sizeof *tls);
  if (!tls) return NULL;
  tls->ssl = SSL_new(context);
  tls->in = BIO_new(BIO_s_mem());
  tls->out = BIO_new(BIO_s_mem());
  if (tls->ssl && tls->in && tls->out) {
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_connect_state(tls->ssl);
    SSL_set_verify(tls->ssl, SSL_VERIFY_PEER, NULL);
    return tls;
  }
  SSL_free(tls->ssl);
  BIO_free(tls->in);
  BIO_free(tls->out);
  memory_free(tls);
  return NULL;
}

int tls_new(struct tls **out, struct tls_contexts *contexts, const struct tls_options *options, char problem[TLS_PROBLEM_SIZE]) {
  SSL_CTX *context;
  int status = find_context(&context, contexts, options->ca_file, problem);
  if (status < 0) return status;
  struct tls *tls = tls_alloc(context);
  if (!tls) return MW_ENOMEM;
  if (!name_peer(tls->ssl, options)) {
    tls_free(tls);
    ERR_clear_error();
    snprintf(problem, TLS_PROBLEM_SIZE, "%s",
             options->name.len == 0 ? "the name that the certificate must have is missing" : "not the name of a host");
    return MW_EINVAL;
  }
  *out = tls;
  return 0;
}

void tls_free(struct tls *tls) {
  if (!tls) return;
  SSL_free(tls->ssl); /* and its BIOs */
  memory_free(tls);
}

int tls_feed(struct tls *tls, struct bytes sent) {
  return BIO_write(tls->in, sent.ptr, (int)sent.len) == (int)sent.len ? 0 : MW_ENOMEM;
}

int tls_handshake(struct tls *tls, char problem[TLS_PROBLEM_SIZE]) {
  ERR_clear_error();
  int result = SSL_do_handshake(tls->ssl);
  if (result == 1) return 0;
  int error = SSL_get_error(tls->ssl, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return MW_PENDING;
  long verified = SSL_get_verify_result(tls->ssl);
  if (verified != X509_V_OK && SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE) {
    snprintf(problem, TLS_PROBLEM_SIZE, "certificate refused: %s", X509_verify_cert_error_string(verified));
    ERR_clear_error();
  } else {
    tls_write_problem(problem, "TLS handshake failed");
  }
  return MW_EFORGED;
}

int tls_read(struct tls *tls, struct buffer *out, size_t most) {
  ERR_clear_error();
  while (most > 0) {
    size_t step = most < READ_STEP ? most : READ_STEP;
    char *room = buffer_reserve(out, step);
    if (!room) return MW_ENOMEM;
    int len = SSL_read(tls->ssl, room, (int)step);
    if (len <= 0) {
      int error = SSL_get_error(tls->ssl, len);
      ERR_clear_error();
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
      return error == SSL_ERROR_ZERO_RETURN ? MW_ECLOSED : MW_EFORGED;
    }
    out->len += (size_t)len;
    most -= (size_t)len;
  }
  return MW_PENDING;
}

int tls_write(struct tls *tls, struct bytes bytes) {
  ERR_clear_error();
  while (bytes.len > 0) {
    int len = SSL_write(tls->ssl, bytes.ptr, bytes.len > READ_STEP ? READ_STEP : (int)bytes.len);
    if (len <= 0) {
      ERR_clear_error();
      return MW_EFORGED;
    }
    bytes = bytes_of(bytes.ptr + len, bytes.len - (size_t)len);
  }
  return 0;
}

int tls_binding(const struct tls *tls, unsigned char out[TLS_BINDING_MAX]) {
  X509 *certificate = SSL_get1_peer_certificate(tls->ssl);
  int digest = NID_undef;
  unsigned len = 0;
  bool ok = certificate && X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) == 1;
  /* RFC 5929 section 4.1 */
  if (digest == NID_md5 || digest == NID_sha1) digest = NID_sha256;
  const EVP_MD *type = ok ? EVP_get_digestbynid(digest) : NULL;
  ok = type && EVP_MD_get_size(type) <= TLS_BINDING_MAX && X509_digest(certificate, type, out, &len) == 1;
  X509_free(certificate);
  ERR_clear_error();
  return ok ? (int)len : MW_EINVAL;
}

int tls_certificate(const struct tls *tls, unsigned char *out, size_t size) {
  X509 *certificate = SSL_get1_peer_certificate(tls->ssl);
  if (!certificate) return MW_EINVAL;
  int len = i2d_X509(certificate, NULL);
  if (len >= 0 && (size_t)len <= size) len = i2d_X509(certificate, &out);
  X509_free(certificate);
  ERR_clear_error();
  if (len < 0) return MW_EINVAL;
  return (size_t)len <= size ? len : MW_ETOOLARGE;
}

void tls_end(struct tls *tls) {
  if (!SSL_is_init_finished(tls->ssl)) return;
  SSL_shutdown(tls->ssl);
  ERR_clear_error();
}

int tls_take_output(struct tls *tls, struct buffer *out) {
  size_t len = BIO_ctrl_pending(tls->out);
  if (len == 0) return 0;
  char *room = buffer_reserve(out, len);
  if (!room) return MW_ENOMEM;
  int taken = BIO_read(tls->out, room, (int)len);
  if (taken > 0) out->len += (size_t)taken;
  return 0;
}
