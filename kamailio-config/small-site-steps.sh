# For small-site.sh of each proxy: what both do. The folder of the project is the current one.
#
#     site_options "$@"       reads the options into $domain, $address, $port, $tls_port, $web_port, $secure_web_port,
#                             $copies_port, $users, $group, $folder
#     site_prepare PACKAGE... what is needed, the build, and in $folder: cimf.so, groups, passwords, certificate
#     site_instructions       what to type into a phone
#     site_run PROGRAM...     runs the proxy until Ctrl-C; $figures is the command that shows what it has counted
#
# Everything is kept in the folder: at the next start users, passwords, certificate and group are those of before.

. ./kamailio-config/install-missing.sh

say() { printf '\n==> %s\n' "$*"; }

fail() {
    printf '\n%s: FAILED: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

usage() {
    cat <<END
$0 [OPTION VALUE]...

Makes a group for ordinary phones and runs it until Ctrl-C.

  --domain NAME      the domain of people and groups        (example.net)
  --address IP       where phones reach this machine        (its first address)
  --port N           for UDP and TCP                        (5060)
  --tls-port N       for TLS                                (5061)
  --web-port N       for browsers, by WebSocket             (8088)
  --secure-web-port N for browsers, by WebSocket with TLS   (8089)
  --copies-port N    on 127.0.0.1, for the proxy's own use  (5062)
  --users "A B C"    who may log in, beside those of before ("ann bob cho")
  --group NAME       the group of all of them               (hikers)
  --folder DIRECTORY where everything is kept               (target/small-site)
END
}

site_options() {
    domain=example.net
    address=
    port=5060
    tls_port=5061
    web_port=8088
    secure_web_port=8089
    copies_port=5062
    users="ann bob cho"
    group=hikers
    folder=$PWD/target/small-site
    while [ $# -gt 0 ]; do
        case $1 in
            --help | -h) usage; exit 0 ;;
            --domain | --address | --port | --tls-port | --web-port | --secure-web-port | --copies-port | \
                --users | --group | --folder)
                [ $# -gt 1 ] || { usage >&2; fail "$1: expected a value behind it"; }
                ;;
            *) usage >&2; fail "$1: expected one of the options above" ;;
        esac
        case $1 in
            --domain) domain=$2 ;;
            --address) address=$2 ;;
            --port) port=$2 ;;
            --tls-port) tls_port=$2 ;;
            --web-port) web_port=$2 ;;
            --secure-web-port) secure_web_port=$2 ;;
            --copies-port) copies_port=$2 ;;
            --users) users=$2 ;;
            --group) group=$2 ;;
            --folder) folder=$2 ;;
        esac
        shift 2
    done
    case $domain in *[!a-z0-9.-]* | "") fail "--domain: expected a name in lower case such as example.net, found '$domain'" ;; esac
    for name in $users $group; do
        case $name in *[!a-z0-9._-]*) fail "expected names of a-z, 0-9, '.', '_' and '-', found '$name'" ;; esac
    done
    case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
    [ -n "$address" ] || address=$(hostname -I 2>/dev/null | cut -d' ' -f1)
    [ -n "$address" ] || address=127.0.0.1
}

site_prepare() {
    say "Looking for what is needed"
    need_rust || fail "Rust is needed; what to do is above"
    install_missing "$@" sqlite3:sqlite3 openssl:openssl gcc:gcc ar:binutils header:libc6-dev ||
        fail "not everything that is needed could be installed"

    mkdir -p "$folder"
    chmod 700 "$folder"
    # The proxy inherits the lock, and so it is held until the last of its processes has ended.
    exec 9>"$folder/lock"
    flock --wait 5 9 ||
        fail "$folder: a site runs there already. Stop it, by Ctrl-C where it was started, and start anew"

    say "Building cimf.so and cimfctl (five minutes the first time, with 2 cores)"
    cargo build --release --lib --bins || fail "the build failed; the reason is above"
    built=${CARGO_TARGET_DIR:-target}/release
    case $built in /*) ;; *) built=$PWD/$built ;; esac
    # In one move: a proxy that runs keeps the file that it has loaded.
    cp "$built/libcimf.so" "$folder/cimf.so.new" && mv "$folder/cimf.so.new" "$folder/cimf.so"

    say "Users, passwords and the group sip:$group@$domain, in $folder"
    cimfctl() { "$built/cimfctl" --db "$folder/cimf.db" "$@"; }
    cimfctl init
    passwords=$folder/passwords
    [ -e "$passwords" ] || (umask 077 && : >"$passwords")
    members=
    for user in $users; do
        if ! cut -d' ' -f1 "$passwords" | grep -qxF -e "$user"; then
            printf '%s %s\n' "$user" "$(openssl rand -hex 6)" >>"$passwords"
        fi
        members="$members sip:$user@$domain"
    done
    # shellcheck disable=SC2086
    cimfctl group show "sip:$group@$domain" >/dev/null 2>&1 || cimfctl group add "sip:$group@$domain" $members
    site_certificate
}

# Phones compare the certificate's names with what was typed into them: the domain, or this machine's address.
site_certificate() {
    certificate=$folder/certificate.pem
    if [ ! -e "$certificate" ]; then
        # Linphone finds an address only where names stand.
        openssl req -x509 -newkey rsa:2048 -nodes -days 825 -subj "/CN=$domain" \
            -addext "subjectAltName=DNS:$domain,IP:$address,DNS:$address" \
            -keyout "$folder/key.pem" -out "$certificate" 2>/dev/null || fail "openssl made no certificate"
        chmod 600 "$folder/key.pem"
    fi
    openssl x509 -in "$certificate" -noout 2>/dev/null ||
        fail "$certificate: expected a certificate in PEM, and openssl finds none there"
    names() { openssl x509 -in "$certificate" -noout "$@" | grep -q 'does match'; }
    if ! openssl x509 -in "$certificate" -noout -checkend 0 >/dev/null; then
        warning="has expired"
    elif names -checkhost "$domain" || names -checkip "$address"; then
        return 0
    else
        warning="names neither $domain nor $address"
    fi
    cat >&2 <<END
WARNING: $certificate $warning: no phone will accept it. Put another
certificate and its key there, or delete certificate.pem and key.pem: the next start makes new ones.
END
}

# MD5(user:realm:password) of each user: the tables hold no passwords.
site_digests() {
    while read -r user password; do
        printf '%s %s\n' "$user" "$(printf '%s' "$user:$domain:$password" | openssl md5 -r | cut -d' ' -f1)"
    done <"$passwords"
}

site_instructions() {
    say "Type this into a phone (Linphone: \"Use a SIP account\"; baresip, Zoiper and others: \"SIP account\")"
    printf '\n    %-14s %-14s %s\n' "user name" password address
    while read -r user password; do
        printf '    %-14s %-14s %s\n' "$user" "$password" "sip:$user@$domain"
    done <"$passwords"
    cat <<END

    domain         $domain      (also called "registrar" or "realm")
    outbound proxy sip:$address:$port;transport=tcp      (also called "SIP proxy" or "server"; or transport=udp)
    encrypted      sip:$address:$tls_port;transport=tls      (the phone has to trust the certificate: see below)
    browsers       ws://$address:$web_port, or wss://$address:$secure_web_port where the page itself came by https

    Then write a message to     sip:$group@$domain
    Everybody of the group gets it; an answer goes to everybody again.

    The certificate is $certificate, made by this script. Trust it, each in its way:
        a phone        where it asks for certificates of authorities, a "root CA" or a "CA file", give it that file
                       (linphonerc: root_ca=; baresip: sip_cafile; PJSIP: CaListFile)
        a browser      open https://$address:$secure_web_port once and accept what it warns of
    or put one of your own and its key there as certificate.pem and key.pem, and start anew. It has to name what is
    typed into phones, $domain or $address, and phones trust it without more ado if it comes from an authority they
    know, such as Let's Encrypt (then with its chain: fullchain.pem).

    Add somebody:  Ctrl-C, start anew with the same options and --users "$(cut -d' ' -f1 "$passwords" | tr '\n' ' ')NAME",
                   then in another terminal
                   $built/cimfctl --db $folder/cimf.db member add sip:$group@$domain sip:NAME@$domain --name 'Full Name'
    Watch it:      tail -f $log
                   $figures

END
}

# The proxy as a child, so that Ctrl-C ends it and what it says is seen.
site_run() {
    log=$folder/proxy.log
    "$@" >"$log" 2>&1 </dev/null &
    proxy=$!
    stopped=
    trap 'stopped=yes; kill "$proxy" 2>/dev/null' INT TERM HUP
    left=100
    until site_answers; do
        left=$((left - 1))
        if ! kill -0 "$proxy" 2>/dev/null || [ "$left" -eq 0 ]; then
            tail -n 20 "$log" >&2
            kill "$proxy" 2>/dev/null || true
            wait "$proxy" || true
            fail "the proxy does not answer; the last lines of $log are above"
        fi
        sleep 0.1
    done
    site_instructions
    say "It runs until Ctrl-C; what happens stands in $log"
    wait "$proxy" || true
    wait "$proxy" 2>/dev/null || true
    if [ -z "$stopped" ]; then
        tail -n 20 "$log" >&2
        fail "the proxy has ended by itself; the last lines of $log are above"
    fi
    say "Stopped. The next start with $folder takes the same users, passwords and group."
}
