#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#include "base/status.h"
#include "net/connection/tls.h"
#include "test/support.h"

/* A server in memory, with a certificate that it has signed itself. */
static EVP_PKEY *key;
static X509 *certificate;
static SSL_CTX *context;
static SSL *server;
static BIO *to_server, *from_server;
static char ca_file[64];
static struct tls_contexts contexts;
static struct tls *tls;
static char problem[TLS_PROBLEM_SIZE];

static void make_certificate(void) {
  key = EVP_EC_gen("P-256");
  certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509_set_pubkey(certificate, key);
  X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:db.example.com,IP:10.0.0.1");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
}

static int begin_all(void **state) {
  (void)state;
  make_certificate();
  snprintf(ca_file, sizeof ca_file, "/tmp/mw-tls-%ld.pem", (long)getpid());
  FILE *file = fopen(ca_file, "w");
  if (!file) return -1;
  PEM_write_X509(file, certificate);
  fclose(file);
  context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate(context, certificate);
  SSL_CTX_use_PrivateKey(context, key);
  return 0;
}

static int end_all(void **state) {
  (void)state;
  unlink(ca_file);
  SSL_CTX_free(context);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return 0;
}

static int begin(void **state) {
  int status = support_setup(state);
  server = SSL_new(context);
  to_server = BIO_new(BIO_s_mem());
  from_server = BIO_new(BIO_s_mem());
  SSL_set_bio(server, to_server, from_server);
  SSL_set_accept_state(server);
  contexts.count = 0;
  tls = NULL;
  return status;
}

static int end(void **state) {
  tls_free(tls);
  SSL_free(server);
  tls_contexts_deinit(&contexts);
  return support_teardown(state);
}

static int start(const char *name, const char *ca, bool is_unverified) {
  struct tls_options options = {.name = bytes_string(name), .ca_file = ca, .is_unverified = is_unverified};
  return tls_new(&tls, &contexts, &options, problem);
}

/* Moves what both have written to the other side, at most `step` bytes at a time. */
static void exchange_bytes(size_t step) {
  struct buffer out = {0};
  char bytes[4096];
  assert_int_equal(tls_take_output(tls, &out), 0);
  if (out.len > 0) BIO_write(to_server, out.data, (int)out.len);
  buffer_deinit(&out);
  SSL_do_handshake(server);
  int len = BIO_read(from_server, bytes, (int)(step < sizeof bytes ? step : sizeof bytes));
  if (len > 0) assert_int_equal(tls_feed(tls, bytes_of(bytes, (size_t)len)), 0);
}

static int shake_hands(size_t step) {
  int status = tls_handshake(tls, problem);
  for (size_t i = 0; status == MW_PENDING && i < 20000; i++) {
    exchange_bytes(step);
    status = tls_handshake(tls, problem);
  }
  if (status == 0) exchange_bytes(step);
  return status;
}

static void encrypts_both_ways(size_t step) {
  assert_int_equal(start("db.example.com", ca_file, false), 0);
  assert_int_equal(shake_hands(step), 0);
  assert_int_equal(tls_write(tls, BYTES("ping")), 0);
  exchange_bytes(step);
  char text[8] = "";
  assert_int_equal(SSL_read(server, text, sizeof text), 4);
  assert_string_equal(text, "ping");
  assert_int_equal(SSL_write(server, "pong", 4), 4);
  SSL_shutdown(server);
  struct buffer in = {0};
  int status = 0;
  while (status == 0) {
    exchange_bytes(step);
    status = tls_read(tls, &in, 100);
  }
  assert_int_equal(status, MW_ECLOSED);
  assert_bytes_string(buffer_bytes(&in), "pong");
  buffer_deinit(&in);
}

static void encrypts(void **state) {
  (void)state;
  encrypts_both_ways(4096);
}

static void encrypts_by_the_byte(void **state) {
  (void)state;
  encrypts_both_ways(1);
}

static void verifies_names_and_authorities(void **state) {
  (void)state;
  static const struct {
    const char *name, *problem;
    bool knows_ca, is_unverified;
  } cases[] = {{"10.0.0.1", NULL, true, false},
               {"10.0.0.2", "certificate refused: IP address mismatch", true, false},
               {"other.example.com", "certificate refused: hostname mismatch", true, false},
               {"db.example.com", "certificate refused: self-signed certificate", false, false},
               {"other.example.com", NULL, false, true},
               {"", NULL, false, true}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    if (i > 0) {
      tls_free(tls);
      SSL_free(server);
      server = SSL_new(context);
      to_server = BIO_new(BIO_s_mem());
      from_server = BIO_new(BIO_s_mem());
      SSL_set_bio(server, to_server, from_server);
      SSL_set_accept_state(server);
    }
    assert_int_equal(start(cases[i].name, cases[i].knows_ca ? ca_file : NULL, cases[i].is_unverified), 0);
    assert_int_equal(shake_hands(4096), cases[i].problem ? MW_EFORGED : 0);
    if (cases[i].problem) assert_string_equal(problem, cases[i].problem);
  }
}

static void refuses_wrong_options(void **state) {
  (void)state;
  assert_int_equal(start("", ca_file, false), MW_EINVAL);
  assert_int_equal(start("db.example.com", "/nonexistent", false), MW_EINVAL);
  tls = NULL;
}

static void refuses_what_is_not_tls(void **state) {
  (void)state;
  assert_int_equal(start("db.example.com", ca_file, false), 0);
  assert_int_equal(tls_handshake(tls, problem), MW_PENDING);
  assert_int_equal(tls_feed(tls, BYTES("HTTP/1.1 400 Bad Request\r\n\r\n")), 0);
  assert_int_equal(tls_handshake(tls, problem), MW_EFORGED);
}

static void refuses_what_was_altered(void **state) {
  (void)state;
  assert_int_equal(start("db.example.com", ca_file, false), 0);
  assert_int_equal(shake_hands(4096), 0);
  SSL_write(server, "pong", 4);
  char bytes[4096];
  int len = BIO_read(from_server, bytes, sizeof bytes);
  bytes[len - 1] ^= 1;
  assert_int_equal(tls_feed(tls, bytes_of(bytes, (size_t)len)), 0);
  struct buffer in = {0};
  assert_int_equal(tls_read(tls, &in, 100), MW_EFORGED);
  assert_int_equal(in.len, 0);
  buffer_deinit(&in);
}

static void binds_to_the_certificate(void **state) {
  (void)state;
  unsigned char hash[TLS_BINDING_MAX], expected[EVP_MAX_MD_SIZE], bytes[2000];
  unsigned expected_len;
  assert_int_equal(start("db.example.com", ca_file, false), 0);
  assert_int_equal(tls_binding(tls, hash), MW_EINVAL);
  assert_int_equal(tls_certificate(tls, bytes, sizeof bytes), MW_EINVAL);
  assert_int_equal(shake_hands(4096), 0);
  X509_digest(certificate, EVP_sha256(), expected, &expected_len);
  assert_int_equal(tls_binding(tls, hash), 32);
  assert_memory_equal(hash, expected, 32);
  assert_int_equal(tls_certificate(tls, bytes, sizeof bytes), i2d_X509(certificate, NULL));
  assert_int_equal(tls_certificate(tls, bytes, 10), MW_ETOOLARGE);
}

#define WITH_SERVER(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {WITH_SERVER(encrypts),
                                     WITH_SERVER(encrypts_by_the_byte),
                                     WITH_SERVER(verifies_names_and_authorities),
                                     WITH_SERVER(refuses_wrong_options),
                                     WITH_SERVER(refuses_what_is_not_tls),
                                     WITH_SERVER(refuses_what_was_altered),
                                     WITH_SERVER(binds_to_the_certificate)};
  return cmocka_run_group_tests(tests, begin_all, end_all);
}
