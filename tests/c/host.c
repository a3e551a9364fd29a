/*
 * A program that loads cimf as a proxy would. Built plainly it is no proxy. With CLAIM it has the symbols by
 * which cimf knows OpenSIPS, says that it is the version CLAIM, and has no other function that a module
 * needs; with SCM, too, it is one from 3.4 on. With KAMAILIO it is that version of Kamailio, which has loaded tm, and
 * with UNCHECKED, too, its loader does not compare versions. The log goes to the standard output.
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

#ifdef KAMAILIO

const char ver_name[] = "kamailio", ver_version[] = KAMAILIO, ver_arch[] = "x86_64", ver_os[] = "linux";
const char ver_flags[] = "flags";
#define CLAIM_OF_KAMAILIO "kamailio " KAMAILIO " (x86_64/linux)"

/* What each module has, this one in place of tm. */
const char *module_version = CLAIM_OF_KAMAILIO, *module_flags = "flags";
static struct { const char *path; void *handle; } tm = { "tm.so", 0 };
void *find_module_by_name(const char *name);
void *find_module_by_name(const char *name)
{
    tm.handle = dlopen(0, RTLD_NOW);
    return strcmp(name, "tm") == 0 ? &tm : 0;
}

int get_debug_level(const char *name, int length);
int get_debug_level(const char *name, int length) { (void)name, (void)length; return 3; }
int get_debug_facility(const char *name, int length);
int get_debug_facility(const char *name, int length) { (void)name, (void)length; return 0; }
static void print(int level, const char *format, ...)
{
    va_list arguments;
    (void)level;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}
void (*_km_log_func)(int, const char *, ...) = print;
void *_ksr_slog_func, *log_prefix_val;
int log_stderr, process_no;

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
#ifdef KAMAILIO
    char **flags = dlsym(library, "module_flags");
    printf("name %s, flags %s\n", (char *)exports[0], *flags);
#ifndef UNCHECKED
    /* As Kamailio's loader does. */
    if (strcmp(CLAIM_OF_KAMAILIO, *kamailio_version) != 0 || strcmp(ver_flags, *flags) != 0) {
        printf("mismatch\n");
        return 0;
    }
#endif
    int (*start)(void);
    memcpy(&start, &exports[7], sizeof start);
    printf("start: %d\n", start());
#endif
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
