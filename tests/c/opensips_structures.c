/*
 * The structures that OpenSIPS shares with its modules, as far as cimf looks at them, declared once more
 * in C: the compiler says how large they are and where their members stand. VERSION is 320 for 3.2.0.
 */

#include <stddef.h>
#include <stdio.h>

typedef struct { char *s; int len; } text;
typedef int (*any_function)(void);

struct cmd_param { int flags; any_function fixup, free_fixup; };
struct cmd_export {
    const char *name;
    any_function function;
    struct cmd_param params[9];
    int flags;
};
struct param_export { const char *name; unsigned int type; void *pointer; };
struct proc_export {
    const char *name;
    any_function pre_fork, post_fork, function;
    unsigned int number, flags;
};
enum module_type { MOD_TYPE_NULL, MOD_TYPE_DEFAULT };
struct module_dependency { enum module_type type; char *name; unsigned int flags; };
struct param_dependency { char *parameter; any_function dependencies; };
struct dependencies { struct module_dependency modules[10]; struct param_dependency parameters[1]; };

struct module_exports {
    const char *name;
    enum module_type type;
    struct {
        const char *version, *compile_flags;
#if VERSION >= 340
        struct { const char *type, *revision; } scm;
#endif
    } version;
    unsigned int dlflags;
    any_function load;
    const void *deps, *cmds, *acmds, *params, *stats, *mi_cmds, *items, *trans, *procs;
    any_function preinit, init, response, destroy, init_child, reload_ack;
};

struct pv_name { int kind; union { struct { int kind; union { int n; text s; } name; } inner; void *dynamic; } u; };
struct pv_index { int kind; union { int number; void *dynamic; } u; };
struct pv_param { struct pv_name name; struct pv_index index; text value;
#if VERSION >= 360
    int flags;
#endif
};
struct pv_spec { int kind; any_function get, set; struct pv_param param; any_function context; void *transformations; };
struct pv_export {
    text name;
    int kind;
    any_function get, set, parse_name, parse_index, init_param;
    int iparam;
};

struct stat_export { char *name; unsigned short flags; void **stat_pointer; };
struct header_field {
    int kind;
    text name, body;
    int len;
    void *parsed;
    struct header_field *next, *sibling;
};

struct ip_address { unsigned int family, length; union { unsigned long longs[2]; unsigned char bytes[16]; } u; };
union socket_address { unsigned short family; struct { unsigned int words[7]; } six; };
struct proxy_protocol { int flags; struct ip_address source, destination; unsigned short ports[2]; };
struct receive_info {
    struct ip_address source, destination;
    unsigned short source_port, destination_port;
    int protocol;
    unsigned int reserved[2];
    union socket_address address;
    const void *socket;
#if VERSION >= 400
    struct proxy_protocol behind;
#endif
};
struct message {
    unsigned int id;
    struct {
        int type, len;
        union {
            struct { text method, uri, version; int method_value; } request;
            struct { text version, status, reason; unsigned int code; } reply;
        } u;
    } first_line;
    void *via[2];
    struct header_field *headers, *last_header;
    unsigned long long parsed_flags;
    /* The first Via and, until 3.5, the second; Call-ID, To, CSeq, From, Contact, Max-Forwards, Route. */
#if VERSION >= 360
    struct header_field *known[8];
#else
    struct header_field *known[9];
#endif
    struct header_field *record_route;
#if VERSION >= 350
    struct header_field *others[36];
#else
    struct header_field *others[33];
#endif
    void *body;
#if VERSION >= 360
    void *body_operations;
#endif
    char *end_of_headers, *unparsed;
    struct receive_info received;
    char *buf;
    unsigned int len;
};

struct rr;
struct dialog {
    text call_id, rem_tag, loc_tag;
    struct { unsigned int value; unsigned char is_set; } loc_seq, rem_seq;
    text loc_uri, rem_uri, obp;
    union socket_address forced_to;
    text rem_target, loc_dname, rem_dname;
    unsigned int flags;
    enum { DLG_NEW, DLG_EARLY, DLG_CONFIRMED } state;
    struct rr *route_set;
    struct { text ru, nh, *request_uri, *next_hop; struct rr *first_route; text *last_route; } hooks;
    const void *send_sock;
#if VERSION >= 342
    const void *pref_sock;
#endif
    unsigned short mf_enforced, mf_value;
    void *context, *avps;
    any_function created;
    void *created_param;
};

struct callback_params { void *req, *rpl; int code; void **param, *extra1, *extra2; };
struct event_param { int flags; union { int n; text s; } value; text name; struct event_param *next; };
struct event_params { int flags; struct event_param *first, *last; };

#if VERSION >= 400
struct recipe { any_function command; char *params[20]; };
#else
struct recipe { any_function command; char *params[10]; };
#endif
struct mi_export {
    char *name, *help;
    unsigned int flags;
    any_function init;
#if VERSION >= 340
    struct recipe recipes[48];
#else
    struct recipe recipes[11];
#endif
#if VERSION >= 400
    const char *aliases[4];
#endif
};

struct api_proto {
    any_function init_listener;
#if VERSION >= 360
    any_function bind_listener;
#endif
    any_function send, dst_attr;
};
struct api_proto_net {
    int flags;
#if VERSION >= 400
    struct { unsigned async_chunks; any_function read, handle, write, init, connect, clean, match, dump; } stream;
#elif VERSION >= 350
    struct { unsigned async_chunks; any_function read, write, init, clean, match; } stream;
#else
    unsigned async_chunks;
    any_function write, read, conn_init, conn_clean, conn_match;
#endif
    any_function report;
};
struct listener {
    int socket;
    text name;
#if VERSION >= 400
    text orig_name;
#endif
    text tag;
    struct ip_address address;
    text address_str;
    unsigned short port_no;
    text port_no_str;
    int flags;
    union socket_address su;
    int proto;
    text sock_str, adv_sock_str, tag_sock_str, adv_name_str, adv_port_str;
    struct ip_address adv_address;
    unsigned short adv_port, workers;
#if VERSION >= 360
    unsigned short tos;
#endif
    void *s_profile;
#if VERSION >= 350
    void *extra_data;
#if VERSION >= 400
    void *bond_sis;
#endif
    int internal_proto;
    void *last_real_ports;
    /* What follows belongs to a structure around this one. */
#endif
    unsigned short last_local_real_port, last_remote_real_port;
    struct listener *next, *prev;
};
struct proto_info {
    char *name;
    unsigned short default_rfc_port;
    int id;
    unsigned short default_port;
    struct api_proto tran;
    struct api_proto_net net;
    struct listener *listeners;
    void *sendipv4, *sendipv6;
};

#define SIZE(type) printf("%s %zu\n", #type, sizeof(struct type))
#define PLACE(type, member) printf("%s.%s %zu\n", #type, #member, offsetof(struct type, member))

int main(void)
{
    SIZE(module_exports);
    PLACE(module_exports, version);
    PLACE(module_exports, dlflags);
    PLACE(module_exports, deps);
    PLACE(module_exports, cmds);
    PLACE(module_exports, params);
    PLACE(module_exports, items);
    PLACE(module_exports, procs);
    PLACE(module_exports, init);
    PLACE(module_exports, destroy);
    PLACE(module_exports, reload_ack);
    SIZE(cmd_export);
    PLACE(cmd_export, function);
    PLACE(cmd_export, params);
    PLACE(cmd_export, flags);
    SIZE(cmd_param);
    SIZE(param_export);
    PLACE(param_export, pointer);
    SIZE(proc_export);
    PLACE(proc_export, function);
    PLACE(proc_export, number);
    PLACE(proc_export, flags);
    SIZE(dependencies);
    SIZE(module_dependency);
    PLACE(dependencies, parameters);
    PLACE(pv_spec, param);
    PLACE(pv_param, name);
    PLACE(pv_param, index);
    PLACE(pv_name, u.inner.name);
    SIZE(pv_export);
    PLACE(pv_export, get);
    PLACE(pv_export, parse_name);
    SIZE(stat_export);
    PLACE(stat_export, flags);
    PLACE(stat_export, stat_pointer);
    SIZE(header_field);
    PLACE(header_field, name);
    PLACE(message, first_line.u.request.method);
    PLACE(message, record_route);
    PLACE(message, buf);
    PLACE(message, len);
    SIZE(dialog);
    PLACE(dialog, loc_seq);
    PLACE(dialog, loc_uri);
    PLACE(dialog, rem_uri);
    PLACE(dialog, obp);
    PLACE(dialog, forced_to);
    PLACE(dialog, rem_target);
    PLACE(dialog, loc_dname);
    PLACE(dialog, state);
    PLACE(dialog, hooks);
    PLACE(dialog, hooks.next_hop);
    PLACE(dialog, send_sock);
    PLACE(dialog, mf_enforced);
    PLACE(dialog, mf_value);
    PLACE(callback_params, code);
    PLACE(callback_params, param);
    SIZE(event_param);
    PLACE(event_param, value);
    PLACE(event_param, name);
    PLACE(event_param, next);
    SIZE(event_params);
    PLACE(event_params, last);
    SIZE(proto_info);
    PLACE(proto_info, default_rfc_port);
    PLACE(proto_info, listeners);
    SIZE(ip_address);
    PLACE(ip_address, length);
    PLACE(ip_address, u);
    PLACE(listener, address);
    PLACE(listener, address_str);
    PLACE(listener, port_no);
    PLACE(listener, port_no_str);
    PLACE(listener, next);
    SIZE(mi_export);
    SIZE(recipe);
    PLACE(mi_export, recipes);
    return 0;
}
