/* Takes one SIP message from a file, asks cimf what to do with it, and prints the answer and the
 * forks. It is also an example of the C interface.
 *
 *   flow_one DATABASE MESSAGE-FILE
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cimf.h"

static void log_line(void *context, uint32_t level, cimf_str text)
{
    size_t *lines = (size_t *)context;
    *lines += 1;
    fprintf(stderr, "log %" PRIu32 ": %.*s\n", level, (int)text.length, text.data);
}

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, cimf_last_error());
    return 1;
}

static int expect(int holds, const char *what)
{
    if (!holds)
        fprintf(stderr, "this does not hold: %s\n", what);
    return holds ? 0 : 1;
}

static size_t read_file(const char *name, uint8_t *data, size_t room)
{
    FILE *file = fopen(name, "rb");
    size_t length;

    if (file == NULL)
        return 0;
    length = fread(data, 1, room, file);
    fclose(file);
    return length;
}

static void print(cimf_str text)
{
    fwrite(text.data, 1, text.length, stdout);
}

static int print_fork(const cimf_decision *decision, size_t index)
{
    cimf_str uri, branch, headers, body;

    if (cimf_decision_recipient(decision, index, &uri) != CIMF_STATUS_OK ||
        cimf_decision_fork_branch(decision, index, &branch) != CIMF_STATUS_OK ||
        cimf_decision_fork_headers(decision, index, &headers) != CIMF_STATUS_OK ||
        cimf_decision_fork_body(decision, index, &body) != CIMF_STATUS_OK)
        return failed("fork");
    printf("MESSAGE ");
    print(uri);
    printf(" SIP/2.0\r\nVia: SIP/2.0/TCP imas.home1.net:5060;branch=");
    print(branch);
    printf("\r\n");
    print(headers);
    printf("\r\n");
    print(body);
    printf("\n--\n");
    return 0;
}

static int print_decision(const cimf_decision *decision)
{
    cimf_str reason, headers;
    size_t index;

    if (cimf_decision_reason(decision, &reason) != CIMF_STATUS_OK ||
        cimf_decision_headers(decision, &headers) != CIMF_STATUS_OK)
        return failed("answer");
    printf("SIP/2.0 %u ", (unsigned)cimf_decision_status(decision));
    print(reason);
    printf("\r\n");
    print(headers);
    if (cimf_decision_needs_stream(decision))
        printf("(the forks go by TCP or TLS)\r\n");
    if (cimf_decision_window(decision) > 0)
        printf("(%" PRIu32 " forks at once)\r\n", cimf_decision_window(decision));
    printf("\n--\n");
    for (index = 0; index < cimf_decision_recipient_count(decision); index++)
        if (print_fork(decision, index) != 0)
            return 1;
    return 0;
}

/* Arguments that no caller should pass must give an error and leave the output alone. */
static int misuse(cimf_server *server, const cimf_decision *decision, const cimf_source *source)
{
    cimf_decision *untouched = NULL;
    cimf_server *no_server = NULL;
    cimf_str text = {"untouched", 9};
    cimf_parameter unknown = {"no_such_parameter", "1"};
    cimf_parameter of_queue = {"rate", "1"};
    cimf_source nowhere = *source;
    int errors = 0;

    nowhere.address.data = "home1.net";
    nowhere.address.length = 9;
    errors += expect(cimf_server_new(&unknown, 1, &no_server) == CIMF_STATUS_CONFIGURATION &&
                         strstr(cimf_last_error(), "no_such_parameter") != NULL && !no_server,
                     "an unknown parameter is named");
    errors += expect(cimf_server_new(&of_queue, 1, &no_server) == CIMF_STATUS_CONFIGURATION &&
                         strstr(cimf_last_error(), "parameter rate: ") != NULL && !no_server,
                     "a parameter of the queue is named and not ignored");
    errors += expect(cimf_server_new(NULL, 3, &no_server) == CIMF_STATUS_INVALID_ARGUMENT,
                     "NULL with a count is refused");
    errors += expect(cimf_server_decide(server, NULL, 5, source, &untouched) ==
                             CIMF_STATUS_INVALID_ARGUMENT &&
                         untouched == NULL,
                     "NULL with a length is refused");
    errors += expect(cimf_server_decide(server, (const uint8_t *)"x", (size_t)-1, source,
                                        &untouched) == CIMF_STATUS_INVALID_ARGUMENT,
                     "a negative length is refused");
    errors += expect(cimf_server_decide(server, (const uint8_t *)"x", 1, &nowhere, &untouched) ==
                         CIMF_STATUS_INVALID_ARGUMENT,
                     "an address that is none is refused");
    errors += expect(cimf_server_decide(NULL, (const uint8_t *)"x", 1, source, &untouched) ==
                         CIMF_STATUS_INVALID_ARGUMENT,
                     "no server is refused");
    errors += expect(cimf_decision_recipient(decision, 99, &text) == CIMF_STATUS_INVALID_ARGUMENT &&
                         text.length == 9,
                     "an index beyond the end leaves the output alone");
    errors += expect(cimf_decision_reason(decision, NULL) == CIMF_STATUS_INVALID_ARGUMENT,
                     "an output that is NULL is refused");
    errors += expect(cimf_decision_status(NULL) == 0 && cimf_decision_recipient_count(NULL) == 0 &&
                         !cimf_decision_needs_stream(NULL) && cimf_decision_window(NULL) == 0,
                     "the readers take NULL");
    errors += expect(cimf_server_decide(server, NULL, 0, source, &untouched) == CIMF_STATUS_OK &&
                         cimf_decision_outcome(untouched) == CIMF_OUTCOME_NOT_OURS,
                     "an empty message is not ours");
    cimf_decision_free(untouched);
    cimf_decision_free(NULL);
    cimf_server_free(NULL);
    return errors;
}

/* The Call-ID of the first fork of a decision about `message`, told apart by its first byte. */
static void first_call_id(cimf_server *server, uint8_t *message, size_t length,
                          const cimf_source *source, char *out, size_t room)
{
    cimf_decision *decision = NULL;
    cimf_str headers = {"", 0};
    const char *start;

    out[0] = '\0';
    if (cimf_server_decide(server, message, length, source, &decision) != CIMF_STATUS_OK ||
        cimf_decision_fork_headers(decision, 0, &headers) != CIMF_STATUS_OK) {
        cimf_decision_free(decision);
        return;
    }
    start = strstr(headers.data, "Call-ID: ");
    if (start != NULL)
        snprintf(out, room, "%.26s", start + 9);
    cimf_decision_free(decision);
}

/* A child uses the server that it has inherited: its identifiers are its own. */
static int in_a_child(cimf_server *server, uint8_t *message, size_t length,
                      const cimf_source *source)
{
    char *call_id = strstr((char *)message, "Call-ID: ");
    char ours[64] = "", theirs[64] = "";
    int ends[2], status = 1, errors = 0;
    pid_t child;

    if (call_id == NULL || pipe(ends) != 0)
        return 1;
    call_id[9] = 'p';
    fflush(stdout);
    child = fork();
    if (child == 0) {
        call_id[9] = 'c';
        first_call_id(server, message, length, source, theirs, sizeof theirs);
        _exit(write(ends[1], theirs, sizeof theirs) == sizeof theirs ? 0 : 1);
    }
    first_call_id(server, message, length, source, ours, sizeof ours);
    errors += expect(read(ends[0], theirs, sizeof theirs) == sizeof theirs, "the child decides");
    errors += expect(waitpid(child, &status, 0) == child && status == 0, "the child ends well");
    errors += expect(strlen(ours) == 26 && strlen(theirs) == 26 && strcmp(ours, theirs) != 0,
                     "parent and child use Call-IDs of their own");
    close(ends[0]);
    close(ends[1]);
    return errors;
}

int main(int argc, char **argv)
{
    static uint8_t message[65536];
    char db_url[4096];
    cimf_parameter parameters[] = {
        {"db_url", db_url},
        {"domains", "im.home1.net,home1.net"},
        {"server_name", "imas.home1.net"},
        {"trusted_peers", "tcp:127.0.0.0/8"},
        {"trusted_next_hop", "1"},
        {"ioi", "home1.net"},
        {"core_route", "sip:icscf.home1.net;transport=tcp"},
        {"large_ok", "1"},
        {"bcc_mode", "self"},
    };
    cimf_source source = {{"127.0.0.1", 9}, {"TCP", 3}, {NULL, 0}};
    cimf_server *server = NULL;
    cimf_decision *decision = NULL;
    cimf_decision *again = NULL;
    size_t length, lines = 0;
    int errors = 0;

    if (argc != 3 || cimf_abi_version() != CIMF_ABI_VERSION)
        return 2;
    snprintf(db_url, sizeof db_url, "sqlite://%s", argv[1]);
    length = read_file(argv[2], message, sizeof message);
    if (length == 0)
        return 2;
    if (cimf_log_set(log_line, &lines, 3) != CIMF_STATUS_OK)
        return failed("log");
    if (cimf_server_new(parameters, sizeof parameters / sizeof parameters[0], &server) !=
        CIMF_STATUS_OK)
        return failed("server");
    if (cimf_server_decide(server, message, length, &source, &decision) != CIMF_STATUS_OK ||
        cimf_server_decide(server, message, length, &source, &again) != CIMF_STATUS_OK)
        return failed("decision");
    errors += print_decision(decision);
    if (cimf_decision_outcome(decision) == CIMF_OUTCOME_ACCEPTED)
        errors += expect(cimf_decision_outcome(again) == CIMF_OUTCOME_REPEATED &&
                             cimf_decision_status(again) == 202 &&
                             cimf_decision_recipient_count(again) == 0,
                         "a retransmission is answered again and not sent again");
    errors += expect(lines > 0, "a decision is logged");
    errors += misuse(server, decision, &source);
    if (cimf_decision_outcome(decision) == CIMF_OUTCOME_ACCEPTED)
        errors += in_a_child(server, message, length, &source);
    cimf_server_free(server);
    errors += expect(cimf_decision_outcome(decision) != CIMF_OUTCOME_NOT_OURS,
                     "a decision outlives its server");
    cimf_decision_free(decision);
    cimf_decision_free(again);
    cimf_log_set(NULL, NULL, 0);
    return errors == 0 ? 0 : 1;
}
