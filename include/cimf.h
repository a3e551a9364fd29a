/* cimf: the OMA Controlling IM Function for pager-mode SIP MESSAGE, as a C library.
 *
 * Made from src/capi; do not edit. Link with -lcimf.
 *
 * A function that returns a cimf_status writes its outputs on success only; on failure
 * cimf_last_error() says what was wrong. Text that is lent is never freed by the caller.
 */

#ifndef CIMF_H
#define CIMF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The version of this interface. It grows by one whenever a program that was compiled against an
// older `cimf.h` would no longer work.
#define CIMF_ABI_VERSION 1

// What is to be done with a message.
typedef enum {
  // The message is not for this server; nothing is to be answered.
  CIMF_OUTCOME_NOT_OURS = 0,
  // The message is to be answered 202 and sent to the recipients.
  CIMF_OUTCOME_ACCEPTED = 1,
  // The message is to be refused with the status of the decision.
  CIMF_OUTCOME_REFUSED = 2,
  // A retransmission of an accepted message: 202 again, and nothing is to be sent.
  CIMF_OUTCOME_REPEATED = 3,
} cimf_outcome;

// What a function that can fail returns.
typedef enum {
  // It worked, and the outputs are written.
  CIMF_STATUS_OK = 0,
  // An argument cannot be used, such as NULL with a length or an index beyond the end.
  CIMF_STATUS_INVALID_ARGUMENT = 1,
  // A parameter of the server is unknown, concerns only the module's queue, or has a value that it
  // cannot have.
  CIMF_STATUS_CONFIGURATION = 2,
  // The database is missing, locked, corrupt or of another version.
  CIMF_STATUS_STORE = 3,
  // The operating system refused something.
  CIMF_STATUS_SYSTEM = 4,
  // An error inside cimf.
  CIMF_STATUS_INTERNAL_ERROR = 5,
} cimf_status;

// A decision about one message. All texts that it lends are valid until `cimf_decision_free`.
typedef struct cimf_decision cimf_decision;

// A server with its parameters, its groups and the memory that its processes share. It may be
// used from several threads, which take turns, and after a `fork` in parent and child; no thread
// may be inside `cimf_server_decide` while another one forks.
typedef struct cimf_server cimf_server;

// Bytes that need not end with NUL and may contain it. `data` may be NULL when `length` is 0.
typedef struct {
  // The first byte.
  const char *data;
  // The number of bytes.
  size_t length;
} cimf_str;

// Takes one log line: `context` as given to `cimf_log_set`, the level (1 error, 2 warning, 3
// information, 4 debug), and the text, valid during the call. What came from outside is escaped
// in it. It may be called from any thread, but never twice at once, and must not call cimf.
typedef void (*cimf_log_callback)(void *context, uint32_t level, cimf_str text);

// One parameter of a server: its name and its value as text, both ending with NUL. The names,
// values and defaults are those of the proxy module; see docs/parameters.md. Those that concern only the
// module's queue, such as "rate" or "durability", cannot be set: the program sends the forks itself.
typedef struct {
  // The name, such as "domains".
  const char *name;
  // The value, such as "home1.net" or "1".
  const char *value;
} cimf_parameter;

// Where a message came from.
typedef struct {
  // The peer's IPv4 or IPv6 address as text, without a port.
  cimf_str address;
  // "udp", "tcp", "tls" or another name of a transport, in any case.
  cimf_str transport;
  // The URI of the user whose credentials the caller has checked, or a name-addr; empty if there
  // is none. It counts when the parameter "identity_mode" is "digest" or "either".
  cimf_str identity;
} cimf_source;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the interface that the library has. A program compares it with
// `CIMF_ABI_VERSION` before it calls anything else.
uint32_t cimf_abi_version(void);

// The version of the library, such as "0.1.0". It ends with NUL and is valid for ever.
const char *cimf_version(void);

// Frees a decision; NULL does nothing.
//
// # Safety
// `decision` is NULL or a handle of `cimf_server_decide` that is not used any more, and neither
// are the texts it has lent.
void cimf_decision_free(cimf_decision *decision);

// What is to be done; `CIMF_OUTCOME_NOT_OURS` for NULL.
//
// # Safety
// `decision` is NULL or a handle of `cimf_server_decide`.
cimf_outcome cimf_decision_outcome(const cimf_decision *decision);

// The status code of the answer, such as 202; 0 if nothing is to be answered or for NULL.
//
// # Safety
// `decision` is NULL or a handle of `cimf_server_decide`.
uint16_t cimf_decision_status(const cimf_decision *decision);

// The reason phrase of the answer, such as "Accepted"; empty if nothing is to be answered.
//
// # Safety
// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
cimf_status cimf_decision_reason(const cimf_decision *decision, cimf_str *out);

// Further header fields of the answer, each with its CRLF, such as Warning; may be empty. The
// caller adds Via, From, To with a tag, Call-ID, CSeq and Content-Length.
//
// # Safety
// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
cimf_status cimf_decision_headers(const cimf_decision *decision, cimf_str *out);

// The number of recipients, which is the number of forks; 0 for NULL.
//
// # Safety
// `decision` is NULL or a handle of `cimf_server_decide`.
size_t cimf_decision_recipient_count(const cimf_decision *decision);

// The address of one recipient, which is the Request-URI of its fork. `index` counts from 0.
//
// # Safety
// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
cimf_status cimf_decision_recipient(const cimf_decision *decision, size_t index, cimf_str *out);

// How many forks may wait for their final responses at once, as they share the breadth of the message
// (RFC 5393): no more than the parameter "concurrency", and no more than the message allows. Each final
// response lets the program send one more. 0 if nothing is to be sent or for NULL.
//
// # Safety
// `decision` is NULL or a handle of `cimf_server_decide`.
uint32_t cimf_decision_window(const cimf_decision *decision);

// All header fields of one fork but Via, each with its CRLF, without the empty line at the end. They
// are byte for byte those that the proxy module hands to its proxy, Max-Breadth included.
//
// # Safety
// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
cimf_status cimf_decision_fork_headers(const cimf_decision *decision,
                                       size_t index,
                                       cimf_str *out);

// A branch for the Via that the caller puts in front of one fork: "z9hG4bK" and a random token
// that no other process makes.
//
// # Safety
// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
cimf_status cimf_decision_fork_branch(const cimf_decision *decision, size_t index, cimf_str *out);

// Whether the forks have to go by TCP or TLS, as at least one of them has more than 1300 bytes;
// false for NULL.
//
// # Safety
// `decision` is NULL or a handle of `cimf_server_decide`.
bool cimf_decision_needs_stream(const cimf_decision *decision);

// The body of one fork: that of the message, without its lists; may be empty. Forks may differ: with
// `bcc_mode=self` a bcc recipient finds an entry of their own in theirs.
//
// # Safety
// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
cimf_status cimf_decision_fork_body(const cimf_decision *decision,
                                    size_t index,
                                    cimf_str *out);

// The text of the last failure in this thread: what was wrong, what was expected and what was
// found. Empty if nothing has failed yet. It ends with NUL and is valid until the next call of a
// cimf function that returns a `cimf_status` in this thread.
const char *cimf_last_error(void);

// Sends the log lines of the whole process up to `level` (0 none, 1 errors, 2 warnings, 3
// information, 4 debug) to `callback`; NULL ends that.
//
// # Safety
// `callback` must be NULL or a function that may be called with `context` until it is replaced.
cimf_status cimf_log_set(cimf_log_callback callback, void *context, uint32_t level);

// Opens a server. The settings and the database are checked; nothing is kept open. A parameter that
// concerns only the module's queue is `CIMF_STATUS_CONFIGURATION`, like one that is unknown.
//
// On success `*out` is a handle for `cimf_server_free`.
//
// # Safety
// `parameters` points to `count` parameters, and may be NULL when `count` is 0. `out` points to
// room for a handle.
cimf_status cimf_server_new(const cimf_parameter *parameters, size_t count, cimf_server **out);

// Frees a server; NULL does nothing. Decisions that it made stay valid.
//
// # Safety
// `server` is NULL or a handle of `cimf_server_new` that is not used any more.
void cimf_server_free(cimf_server *server);

// Decides what is to be done with one SIP request: `length` bytes at `data`, exactly as received.
//
// A message that is not for this server is no error: the decision says so. An accepted message
// counts as answered, so the caller has to send the answer and the forks.
//
// On success `*out` is a handle for `cimf_decision_free`.
//
// # Safety
// `server` is a handle of `cimf_server_new`. `data` points to `length` bytes, and may be NULL when
// `length` is 0. `source` points to a source with its texts. `out` points to room for a handle.
cimf_status cimf_server_decide(const cimf_server *server,
                               const uint8_t *data,
                               size_t length,
                               const cimf_source *source,
                               cimf_decision **out);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CIMF_H */
