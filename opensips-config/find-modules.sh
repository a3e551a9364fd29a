# For the scripts of this folder: find_modules sets $opensips to the program and $modules to the folder of its
# modules, or fails. The caller defines fail.

find_modules() {
    opensips=${CIMF_OPENSIPS:-$(find_program opensips)} || fail "no opensips: set CIMF_OPENSIPS to the program"
    modules=${CIMF_OPENSIPS_MODULES:-}
    beside=$(dirname "$(dirname "$opensips")")
    for place in lib64 lib lib/x86_64-linux-gnu; do
        [ -n "$modules" ] || [ ! -e "$beside/$place/opensips/modules/tm.so" ] || modules=$beside/$place/opensips/modules
    done
    [ -n "$modules" ] || fail "no tm.so below $beside: set CIMF_OPENSIPS_MODULES to the folder of OpenSIPS's modules"
}
