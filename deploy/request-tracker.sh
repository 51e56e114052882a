#!/usr/bin/env bash
# A Request Tracker of this project's own, for its tests and for `make dev HELPDESK=rt`.
#
#   deploy/request-tracker.sh install        Debian's packages, where they are not there (as root)
#   deploy/request-tracker.sh check          say why it cannot run here, if so
#   deploy/request-tracker.sh insert FILE    put users, rights or scrips into its database
#   deploy/request-tracker.sh serve PORT     run it on the loopback until it is told to stop
#
# Database, settings and caches are in RT_HOME (.local/request-tracker), and nothing of an RT that
# may be installed on this machine is read or written. Its administrator is root, password password.
set -euo pipefail

packages="request-tracker5 rt5-db-sqlite rt5-standalone"
server=/usr/share/request-tracker5/libexec/rt-server
home=$(realpath -m "${RT_HOME:-${LOCAL:-.local}/request-tracker}")

fail() {
    echo "request-tracker: $1" >&2
    exit 1
}

is_installed() {
    [ -e "$server" ] && command -v rt-setup-database plackup > /dev/null &&
        perl -MDBD::SQLite -e 1 2> /dev/null
}

install() {
    if is_installed; then return; fi
    command -v apt-get > /dev/null || fail "not installed, and without apt this cannot be changed"
    [ "$(id -u)" -eq 0 ] || fail "not installed, and to install it takes root"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # shellcheck disable=SC2086 # three words
    apt-get install -qy --no-install-recommends $packages
    is_installed || fail "the packages are there and yet it cannot run"
}

check() {
    is_installed || fail "not installed. As root: deploy/request-tracker.sh install"
}

# Where root starts it, it runs as the user that web servers run as: its password is no secret, and
# whoever is RT's administrator may have it execute code.
as_user() {
    if [ "$(id -u)" -eq 0 ]; then
        exec setpriv --reuid www-data --regid www-data --init-groups "$@"
    fi
    exec "$@"
}

# What stands here is the whole configuration: RT_SITE_CONFIG and RT_SITE_CONFIG_DIR put it in place
# of the machine's. Mails are kept under var and never sent. Passwords are hashed quickly, as every
# call hashes one.
configure() { # configure PORT
    mkdir -p "$home"/{none,database,mason,session,var}
    cat > "$home/site.pm" << PERL
Set(\$rtname, 'local');
Set(\$Organization, 'local');
Set(\$Timezone, 'UTC');
Set(\$DatabaseType, 'SQLite');
Set(\$DatabaseName, '$home/database/rt');
Set(\$WebDomain, '127.0.0.1');
Set(\$WebPort, $1);
Set(\$WebPath, '');
Set(\$WebBaseURL, 'http://127.0.0.1:$1');
Set(\$WebSecureCookies, 0);
Set(\$MailCommand, 'mbox');
Set(\$BcryptCost, 4);
Set(\$LogToSyslog, undef);
Set(\$LogToSTDERR, 'error');
\$RT::VarPath = '$home/var';
\$RT::MasonDataDir = '$home/mason';
\$RT::MasonSessionDir = '$home/session';
1;
PERL
    export RT_SITE_CONFIG="$home/site.pm" RT_SITE_CONFIG_DIR="$home/none"
    if [ "$(id -u)" -eq 0 ]; then
        chown -R www-data:www-data "$home"
        (as_user test -w "$home/database") ||
            fail "www-data, as whom it runs, cannot reach $home: set RT_HOME to another place"
    fi
}

# An initialisation that was interrupted is begun anew.
initialise() {
    if [ -e "$home/database/is-complete" ]; then return; fi
    rm -f "$home/database/rt"
    (as_user rt-setup-database --action init --skip-create) > "$home/var/initialise.log" 2>&1 ||
        fail "its database cannot be made, see $home/var/initialise.log"
    touch "$home/database/is-complete"
}

# One initialdata file. A running server sees new users and rights at once, scrips when restarted.
insert() {
    cp "$1" "$home/var/inserted.pl"
    chmod a+r "$home/var/inserted.pl"
    (as_user rt-setup-database --action insert --skip-create --datafile "$home/var/inserted.pl")
}

case "${1:-}" in
    install) install ;;
    check) check ;;
    insert)
        [ -r "${2:-}" ] || fail "insert takes a file"
        check
        configure "${3:-8421}"
        initialise
        insert "$2"
        ;;
    serve)
        [[ "${2:-}" =~ ^[0-9]+$ ]] || fail "serve takes a port"
        check
        configure "$2"
        initialise
        # Not by rt-server itself: interrupted as root, it would touch the machine's own RT.
        as_user plackup --server Starlet --env deployment --host 127.0.0.1 --port "$2" \
            --max-workers 4 "$server"
        ;;
    *) fail "install, check, insert FILE or serve PORT" ;;
esac
