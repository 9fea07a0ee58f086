/* OpenSSL cleans itself up at the end of the process by default. exit() waits neither for workers nor
 * for libuv's pool, so that clean-up would take away what those threads use, and crash. It has to be
 * declined before the library is used first. */
#include <openssl/crypto.h>

__attribute__((constructor)) static void decline_cleanup(void) { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL); }
