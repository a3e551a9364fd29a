/*
 * A program that loads cimf as a proxy would. Built plainly it is no proxy. With CLAIM it has the symbols by
 * which cimf knows OpenSIPS, says that it is the version CLAIM, and has no other function that a module
 * needs; with SCM, too, it is one from 3.4 on. The log goes to the standard output.
 */

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef CLAIM

#ifdef SCM
#define SCM_WORDS "git", "1234567",
const char *core_scm_ver[2] = { "git", "1234567" };
char *log_prefix = "";
void dprint(int level, int facility, const char *module, const char *function, char *plain, char *syslog,
            char *format, ...);
void dprint(int level, int facility, const char *module, const char *function, char *plain, char *syslog,
            char *format, ...)
{
    va_list arguments;
    (void)level, (void)facility, (void)module, (void)function, (void)syslog;
    va_start(arguments, format);
    vprintf(plain, arguments);
    va_end(arguments);
}
#else
#define SCM_WORDS
int log_stderr = 1;
void dprint(char *format, ...);
void dprint(char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}
#endif

static int level = 4;
int *log_level = &level;
int log_facility = 0;
const void *proto_udp_exports[] = { "proto_udp", (void *)1, CLAIM, "flags", SCM_WORDS 0 };
int register_mi_cmd(void);
int register_mi_cmd(void) { return -1; }

#endif

int main(int count, char **arguments)
{
    void *library = dlopen(count > 1 ? arguments[1] : "", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        printf("%s\n", dlerror());
        return 1;
    }
    void **exports = dlsym(library, "exports");
    char **kamailio_version = dlsym(library, "module_version");
    int words = 0;
    for (int at = 0; at < 32; at++)
        words += exports[at] != 0;
    printf("exports: %d words, Kamailio's version: %s\n", words, *kamailio_version);
#ifdef CLAIM
    printf("name %s, version %s, flags %s\n", (char *)exports[0], (char *)exports[2], (char *)exports[3]);
    /* As OpenSIPS's loader does. */
    if (strcmp(CLAIM, (char *)exports[2]) != 0) {
        printf("mismatch\n");
        return 0;
    }
    int (*start)(void);
#ifdef SCM
    printf("%s %s\n", (char *)exports[4], (char *)exports[5]);
    memcpy(&start, &exports[18], sizeof start);
#else
    memcpy(&start, &exports[16], sizeof start);
#endif
    printf("start: %d\n", start());
#endif
    return 0;
}
