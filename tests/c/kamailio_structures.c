/*
 * The structures that Kamailio shares with its modules, as far as cimf looks at them: the compiler says how large they
 * are and where their members stand. VERSION is 506 for 5.6.
 *
 * Plainly they are declared here once more. With HEADERS it is Kamailio's own declarations that are measured:
 * CIMF_KAMAILIO_SOURCE=/usr/src/kamailio-6.1.0 cargo test --release --lib kamailio (needs its src/config.mak, which
 * `make cfg` writes).
 */

#include <stddef.h>
#include <stdio.h>

#ifdef HEADERS

#include "core/sr_module.h"
#include "core/parser/msg_parser.h"
#include "core/pvar.h"
#include "core/route.h"
#include "core/rpc.h"
#include "core/kemi.h"
#include "core/dprint.h"
#include "core/ip_addr.h"
#include "core/socket_info.h"
#include "core/xavp.h"
#include "core/mem/memapi.h"
#include "modules/tm/tm_load.h"
#include "modules/sl/sl.h"

#else

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

typedef struct { char *s; int len; } str;
typedef int (*any_function)(void);

typedef struct { char *name; any_function function; int param_no; any_function fixup, free_fixup; unsigned int flags; } cmd_export_t;
typedef struct { char *name; unsigned int type; void *param_pointer; } param_export_t;
typedef struct { const char *name; any_function function; const char **doc_str; unsigned int flags; } rpc_export_t;
typedef struct sr_kemi { str mname, fname; int rtype; void *func; int ptypes[6]; } sr_kemi_t;
typedef struct {
    any_function fault, send, add, scan, rpl_printf, struct_add, array_add, struct_scan, struct_printf, capabilities;
    any_function delayed_ctx_new, delayed_ctx_close;
} rpc_t;
typedef struct {
    rpc_t rpc;
    void *reply_ctx;
} rpc_delayed_ctx_t;
typedef struct {
    char *name;
    unsigned int dlflags;
    cmd_export_t *cmds;
    param_export_t *params;
    rpc_export_t *rpc_methods;
    void *pv_items;
    any_function response_f, init_mod_f, init_child_f, destroy_mod_f;
} module_exports_t;
typedef struct { char *path; void *handle; } sr_module_t;

typedef struct { int type; any_function nfree; union { struct { int type; union { int n; str s; void *re; } name; } isname; void *dname; } u; } pv_name_t;
typedef struct { int type; union { int ival; void *dval; } u; } pv_index_t;
typedef struct { pv_name_t pvn; pv_index_t pvi; } pv_param_t;
typedef struct { int type; any_function getf, setf; pv_param_t pvp; void *trans; } pv_spec_t;
typedef struct { str name; int type; any_function getf, setf, parse_name, parse_index, init_param; int iparam; } pv_export_t;

typedef struct hdr_field { int type; str name, body; int len; void *parsed; struct hdr_field *next; } hdr_field_t;
typedef struct { unsigned int af, len; union { unsigned long addrl[2]; unsigned char addr[16]; } u; } ip_addr_t;
union sockaddr_union { struct sockaddr s; struct sockaddr_in sin; struct sockaddr_in6 sin6; struct sockaddr_storage sas; };
typedef struct socket_info {
    int socket;
    int gindex;
    str name;
    ip_addr_t address;
    str address_str, port_no_str;
    enum si_flags { SI_NONE } flags;
    union sockaddr_union su;
    struct socket_info *next, *prev;
    unsigned short port_no;
    char proto, proto_pad0;
    short proto_pad1;
    str sock_str;
} socket_info_t;
typedef struct {
    ip_addr_t src_ip, dst_ip;
    unsigned short src_port, dst_port;
    int reserved[2];
    union sockaddr_union src_su;
    socket_info_t *bind_address;
    unsigned int rflags;
    char proto, proto_pad0;
    short proto_pad1;
} receive_info_t;
typedef struct {
    unsigned int id;
    int pid;
    struct timeval tval;
    struct { unsigned short f, mask; } send_flags[2];
    struct {
        short type, flags;
        int len;
        union { struct { str method, uri, version; int method_value; } request; } u;
    } first_line;
    void *vias[2];
    hdr_field_t *headers, *last_header;
    unsigned long long parsed_flag;
    hdr_field_t *known[44];
    void *body;
    char *eoh, *unparsed;
    receive_info_t rcv;
    char *buf;
    unsigned int len;
} sip_msg_t;

typedef struct { void **rlist; int idx, entries; } route_list_t;
typedef struct {
    int v_facility, v_level;
    char *v_lname;
    const char *v_fname;
    int v_fline;
    const char *v_mname, *v_func, *v_locinfo;
    int v_pid, v_pidx;
} ksr_logdata_t;

typedef struct { unsigned int value; unsigned char is_set; } dlg_seq_t;
typedef struct {
    struct { str call_id, rem_tag, loc_tag; } id;
    dlg_seq_t loc_seq, rem_seq;
    str loc_uri, rem_uri, rem_target, dst_uri, loc_dname, rem_dname;
    unsigned char secure;
    enum { DLG_NEW } state;
    void *route_set;
    struct { str ru, nh, *request_uri, *next_hop; void *first_route; str *last_route; } hooks;
    socket_info_t *send_sock;
} dlg_t;
typedef struct {
    str *method, *headers, *body, *ssock, *ssockname;
    dlg_t *dialog;
    unsigned int cb_flags;
    any_function cb;
    void *cbp;
    str *callid;
#if VERSION >= 600
    str *fromtag;
#endif
#if VERSION >= 601
    unsigned int cseqno, fr_timeout, fr_inv_timeout;
#endif
} uac_req_t;
struct tmcb_params { void *req, *rpl; void **param; int code; };
typedef struct tm_binds {
    any_function register_tmcb, relays[4], t_newtran, t_reply, t_reply_with_body;
#if VERSION >= 508
    any_function others[67];
#elif VERSION >= 507
    any_function others[64];
#else
    any_function others[62];
#endif
} tm_api_t;
typedef struct {
    void *mname, *mem_pool, *mem_block;
    any_function xmalloc, xmallocxz, xmalloc_unsafe, xrealloc, xreallocxf, xresize, xfree, xfree_unsafe, xstatus;
#if VERSION >= 508
    any_function xstatus_filter;
#endif
    any_function xinfo, xreport, xavailable, xsums, xdestroy, xmodstats, xfmodstats, xglock, xgunlock;
} sr_shm_api_t;
typedef struct sl_api { any_function zreply, sreply, dreply, freply, get_reply_totag, register_cb; } sl_api_t;

#endif

#define SIZE(type) printf("%s %zu\n", #type, sizeof(type))
#define PLACE(type, member) printf("%s.%s %zu\n", #type, #member, offsetof(type, member))

int main(void)
{
    SIZE(module_exports_t);
    PLACE(module_exports_t, dlflags);
    PLACE(module_exports_t, cmds);
    PLACE(module_exports_t, params);
    PLACE(module_exports_t, rpc_methods);
    PLACE(module_exports_t, pv_items);
    PLACE(module_exports_t, init_mod_f);
    PLACE(module_exports_t, init_child_f);
    PLACE(module_exports_t, destroy_mod_f);
    SIZE(cmd_export_t);
    PLACE(cmd_export_t, function);
    PLACE(cmd_export_t, param_no);
    PLACE(cmd_export_t, fixup);
    PLACE(cmd_export_t, free_fixup);
    PLACE(cmd_export_t, flags);
    SIZE(param_export_t);
    PLACE(param_export_t, type);
    PLACE(param_export_t, param_pointer);
    SIZE(sr_kemi_t);
    PLACE(sr_kemi_t, fname);
    PLACE(sr_kemi_t, rtype);
    PLACE(sr_kemi_t, func);
    PLACE(sr_kemi_t, ptypes);
    SIZE(rpc_export_t);
    PLACE(rpc_export_t, function);
    PLACE(rpc_export_t, doc_str);
    PLACE(rpc_export_t, flags);
    PLACE(rpc_t, add);
    PLACE(rpc_t, scan);
    PLACE(rpc_t, capabilities);
    PLACE(rpc_t, delayed_ctx_new);
    PLACE(rpc_t, delayed_ctx_close);
    PLACE(rpc_delayed_ctx_t, reply_ctx);
    PLACE(rpc_t, struct_add);
    PLACE(sr_module_t, path);
    PLACE(sr_module_t, handle);
    SIZE(pv_spec_t);
    PLACE(pv_spec_t, pvp);
    PLACE(pv_param_t, pvn.u.isname.type);
    PLACE(pv_param_t, pvn.u.isname.name);
    PLACE(pv_param_t, pvi);
    SIZE(pv_export_t);
    PLACE(pv_export_t, type);
    PLACE(pv_export_t, getf);
    PLACE(pv_export_t, parse_name);
    PLACE(pv_export_t, iparam);
    SIZE(hdr_field_t);
    PLACE(hdr_field_t, name);
    PLACE(hdr_field_t, body);
    PLACE(hdr_field_t, next);
    PLACE(sip_msg_t, first_line.u.request.method);
    PLACE(sip_msg_t, headers);
    PLACE(sip_msg_t, parsed_flag);
    PLACE(sip_msg_t, buf);
    PLACE(sip_msg_t, len);
    PLACE(socket_info_t, address);
    PLACE(socket_info_t, address_str);
    PLACE(socket_info_t, port_no_str);
    PLACE(socket_info_t, next);
    PLACE(socket_info_t, port_no);
    PLACE(socket_info_t, proto);
    SIZE(ip_addr_t);
    PLACE(ip_addr_t, len);
    PLACE(ip_addr_t, u);
    SIZE(ksr_logdata_t);
    PLACE(ksr_logdata_t, v_level);
    PLACE(ksr_logdata_t, v_lname);
    PLACE(ksr_logdata_t, v_fname);
    PLACE(ksr_logdata_t, v_fline);
    PLACE(ksr_logdata_t, v_mname);
    PLACE(ksr_logdata_t, v_func);
    PLACE(ksr_logdata_t, v_locinfo);
    PLACE(ksr_logdata_t, v_pidx);
    SIZE(dlg_seq_t);
    PLACE(dlg_seq_t, is_set);
    SIZE(dlg_t);
    PLACE(dlg_t, id.rem_tag);
    PLACE(dlg_t, id.loc_tag);
    PLACE(dlg_t, loc_seq);
    PLACE(dlg_t, rem_seq);
    PLACE(dlg_t, loc_uri);
    PLACE(dlg_t, rem_uri);
    PLACE(dlg_t, rem_target);
    PLACE(dlg_t, dst_uri);
    PLACE(dlg_t, loc_dname);
    PLACE(dlg_t, rem_dname);
    PLACE(dlg_t, secure);
    PLACE(dlg_t, state);
    PLACE(dlg_t, route_set);
    PLACE(dlg_t, hooks);
    PLACE(dlg_t, hooks.nh);
    PLACE(dlg_t, hooks.request_uri);
    PLACE(dlg_t, hooks.next_hop);
    PLACE(dlg_t, send_sock);
    SIZE(uac_req_t);
    PLACE(uac_req_t, headers);
    PLACE(uac_req_t, body);
    PLACE(uac_req_t, ssock);
    PLACE(uac_req_t, ssockname);
    PLACE(uac_req_t, dialog);
    PLACE(uac_req_t, cb_flags);
    PLACE(uac_req_t, cb);
    PLACE(uac_req_t, cbp);
    PLACE(uac_req_t, callid);
    PLACE(struct tmcb_params, rpl);
    PLACE(struct tmcb_params, param);
    PLACE(struct tmcb_params, code);
    SIZE(struct tm_binds);
    PLACE(struct tm_binds, t_newtran);
    PLACE(struct tm_binds, t_reply);
    PLACE(struct tm_binds, t_reply_with_body);
    SIZE(sl_api_t);
    PLACE(sl_api_t, zreply);
    SIZE(sr_shm_api_t);
    PLACE(sr_shm_api_t, mem_block);
    PLACE(sr_shm_api_t, xavailable);
    return 0;
}
