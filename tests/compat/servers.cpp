// SPDX-License-Identifier: Apache-2.0
//
// Servers, run as an ordinary user, each asked by a client of its own: on a Unix socket, or on a
// port of the loopback that is free outside as well.
#include "compat/row.hpp"

namespace {

using sbx::compat::Against;
using sbx::compat::Row;

/// until COMMAND...: runs it until it succeeds. port: one that nobody listens on.
/// ask SOCKET TEXT: what a server answers until it closes or says a line that ends it.
const std::string kTools = R"SH(
until_true() {
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    test $tries -lt 1200 || return
    sleep 0.05
  done
}
port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
ask() {
  python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(30)
f = s.makefile("rwb")
for line in sys.argv[2:]: f.write(line.encode() + b"\r\n")
f.flush()
for line in f:
    print(line.decode().strip())
    if line in (b"END\r\n", b"KICKED 0\r\n"): break
' "$@"
}
)SH";

const Row kStores[] = {
    {.name = "PostgreSQL: initdb, start, tables, parallel clients, a dump, stop",
     .needs = {"/usr/lib/postgresql/15/bin/initdb", "python3"},
     .script = kTools + R"SH(
export PATH=/usr/lib/postgresql/15/bin:$PATH PGHOST=$PWD PGPORT=$(port) PGDATABASE=postgres PGUSER=me
initdb -D data -U me -A trust --no-sync --no-locale >log
pg_ctl -D data -w -t 60 -l server.log -o "-k $PWD -p $PGPORT" start >>log || cat server.log >&2
psql -qAt -c 'create table t as select generate_series(1, 100000) as n' -c 'select sum(n) from t'
psql -qAt -h 127.0.0.1 -c 'set parallel_setup_cost = 0' -c 'set parallel_tuple_cost = 0' \
  -c 'set min_parallel_table_scan_size = 0' -c 'select count(*) from t where n % 2 = 0'
pgbench -i -q >>log 2>&1
pgbench -n -c 3 -t 20 | grep processed
pg_dump -t t | grep -c '^[0-9]'
pg_ctl -D data -w -m fast stop >>log
)SH",
     .says = "5000050000\n50000\nnumber of transactions actually processed: 60/60\n100000\n"},

    {.name = "redis: values, a snapshot by a child, and a new start from it",
     .needs = {"redis-server", "redis-cli"},
     .script = kTools + R"SH(
start() {
  redis-server --port 0 --unixsocket "$PWD/socket" --daemonize yes --logfile log --dir "$PWD" \
    --pidfile "$PWD/pid" >/dev/null
  until_true redis-cli -s socket ping
}
saved() { redis-cli -s socket info persistence | grep -q rdb_bgsave_in_progress:0; }
start
redis-cli -s socket set key value
redis-cli -s socket eval 'for i = 1, 1000 do redis.call("rpush", "list", i) end return 7' 0
redis-cli -s socket bgsave
until_true saved
redis-cli -s socket info persistence | grep -o 'rdb_last_bgsave_status:ok'
redis-cli -s socket shutdown nosave
start
redis-cli -s socket get key
redis-cli -s socket llen list
redis-cli -s socket shutdown nosave
)SH",
     .says = "OK\n7\nBackground saving started\nrdb_last_bgsave_status:ok\nvalue\n1000\n"},

    {.name = "memcached keeps a value",
     .needs = {"memcached", "python3"},
     .script = kTools + R"SH(
memcached -d -P "$PWD/pid" -s "$PWD/socket" -m 64 -t 2
until_true test -S socket
ask socket 'set key 0 0 5' value 'get key'
kill "$(cat pid)"
)SH",
     .says = "STORED\nVALUE key 0 5\nvalue\nEND\n"},

    {.name = "beanstalkd keeps a job, in its log too",
     .needs = {"beanstalkd", "python3"},
     .script = kTools + R"SH(
mkdir log
beanstalkd -l "unix:$PWD/socket" -b log &
until_true test -S socket
ask socket 'put 0 0 10 3' job reserve 'kick 1'
test -s log/binlog.1
kill $!
)SH",
     .says = "INSERTED 1\nRESERVED 1 3\njob\nKICKED 0\n"},
};

const Row kWeb[] = {
    {.name = "nginx as an ordinary user serves files and passes requests on",
     .needs = {"nginx", "curl"},
     .script = kTools + R"SH(
mkdir www; echo page >www/index.html
cat >nginx.conf <<E
pid $PWD/pid;
worker_processes 2;
events { worker_connections 64; }
http {
  access_log $PWD/access.log;
  client_body_temp_path $PWD/body; proxy_temp_path $PWD/proxy; fastcgi_temp_path $PWD/fastcgi;
  uwsgi_temp_path $PWD/uwsgi; scgi_temp_path $PWD/scgi;
  server { listen unix:$PWD/inner; root $PWD/www; }
  server { listen unix:$PWD/outer; location / { proxy_pass http://unix:$PWD/inner; } }
}
E
nginx -e "$PWD/error.log" -p "$PWD" -c "$PWD/nginx.conf"
curl -sS --unix-socket outer http://localhost/
curl -sS --unix-socket inner -o /dev/null -w '%{http_code}\n' http://localhost/absent
nginx -e "$PWD/error.log" -p "$PWD" -c "$PWD/nginx.conf" -s quit
until_true test ! -e pid
wc -l <access.log
)SH",
     .says = "page\n404\n3\n"},

    {.name = "uWSGI with its python3 plugin: a master, workers and threads",
     .needs = {"/usr/lib/uwsgi/plugins/python3_plugin.so", "curl"},
     .script = kTools + R"SH(
cat >app.py <<'E'
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'wsgi ' + environ['PATH_INFO'].encode() + b'\n']
E
uwsgi --plugins python3 --http-socket "$PWD/socket" --wsgi-file app.py --master --processes 2 \
  --threads 2 --worker-reload-mercy 3 --pidfile pid --daemonize log
until_true curl -sS --unix-socket socket http://localhost/
curl -sS --unix-socket socket http://localhost/page
uwsgi --stop pid
until_true grep -q 'goodbye to uWSGI' log
grep -c 'spawned uWSGI worker' log
)SH",
     .says = "wsgi /page\n2\n"},

    {.name = "uWSGI with its psgi plugin",
     .needs = {"/usr/lib/uwsgi/plugins/psgi_plugin.so", "curl"},
     .script = kTools + R"SH(
echo 'sub { [200, ["Content-Type" => "text/plain"], ["psgi $_[0]{PATH_INFO}\n"]] }' >app.psgi
uwsgi --plugins psgi --http-socket "$PWD/socket" --psgi app.psgi --master --worker-reload-mercy 3 \
  --pidfile pid --daemonize log
until_true curl -sS --unix-socket socket http://localhost/
curl -sS --unix-socket socket http://localhost/page
uwsgi --stop pid
until_true grep -q 'goodbye to uWSGI' log
)SH",
     .says = "psgi /page\n"},

    {.name = "uWSGI with its rack plugin",
     .needs = {"/usr/lib/uwsgi/plugins/rack_plugin.so", "/usr/share/doc/ruby-rack", "curl"},
     .script = kTools + R"SH(
echo 'run ->(env) { [200, {"content-type" => "text/plain"}, ["rack #{env["PATH_INFO"]}\n"]] }' >config.ru
uwsgi --plugins rack --http-socket "$PWD/socket" --rack config.ru --master --worker-reload-mercy 3 \
  --pidfile pid --daemonize log
until_true curl -sS --unix-socket socket http://localhost/
curl -sS --unix-socket socket http://localhost/page
uwsgi --stop pid
until_true grep -q 'goodbye to uWSGI' log
)SH",
     .says = "rack /page\n"},

    {.name = "gunicorn: workers, a reload and an end",
     .needs = {"gunicorn", "curl"},
     .script = kTools + R"SH(
cat >app.py <<'E'
def app(environ, start_response):
    start_response('200 OK', [])
    return [b'gunicorn\n']
E
# A worker that has only just started may miss the word to end.
gunicorn --graceful-timeout 3 --bind "unix:$PWD/socket" --workers 2 --pid pid --daemon --log-file log app:app
until_true curl -sS --unix-socket socket http://localhost/
curl -sS --unix-socket socket http://localhost/
kill -HUP "$(cat pid)"
until_true grep -q 'Hang up: Master' log
until_true curl -sS --unix-socket socket http://localhost/
kill -TERM "$(cat pid)"
until_true grep -q 'Shutting down: Master' log
)SH",
     .says = "gunicorn\n"},

    {.name = "openssl: a certificate, s_server and s_client over the loopback",
     .needs = {"openssl", "python3"},
     .script = kTools + R"SH(
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key -out cert 2>log
port=$(port)
openssl s_server -accept "127.0.0.1:$port" -key key -cert cert -rev -naccept 1 >server.log 2>&1 &
until_true grep -q ACCEPT server.log
(echo drow; until_true grep -q word answer; echo CLOSE) |
  openssl s_client -connect "127.0.0.1:$port" -CAfile cert -verify_return_error -quiet 2>>log |
  tee answer
)SH",
     .says = "word\n"},
};

const Row kDaemons[] = {
    {.name = "a program that daemonises lets its caller go on",
     .needs = {"python3"},
     .script = kTools + R"SH(
cat >daemon.py <<'E'
import os, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.chdir('/'); os.umask(0)
null = os.open('/dev/null', os.O_RDWR)
for fd in 0, 1, 2: os.dup2(null, fd)
os.close(null)
open(os.environ['HOME'] + '/ready', 'w').close()
time.sleep(600)
E
python3 daemon.py
until_true test -e ready
echo goes on
)SH",
     .says = "goes on\n"},

    {.name = "start-stop-daemon and setsid start a program in the background",
     .needs = {"start-stop-daemon", "setsid"},
     .script = kTools + R"SH(
start-stop-daemon --start --background --make-pidfile --pidfile "$PWD/pid" --exec /bin/sleep -- 600
until_true test -s pid
until_true start-stop-daemon --status --pidfile "$PWD/pid" --exec /bin/sleep
start-stop-daemon --stop --quiet --retry 5 --pidfile "$PWD/pid" --exec /bin/sleep
setsid -f sh -c 'echo from the session' >said 2>&1 </dev/null
until_true test -s said
cat said
)SH",
     .says = "from the session\n"},
};

// Servers that are started as root and become somebody else.
const Row kDropping[] = {
    {.name = "with --user root setpriv and start-stop-daemon give a program to another user",
     .needs = {"setpriv", "start-stop-daemon"},
     .flags = {"--user", "root"},
     .script = R"SH(
setpriv --reuid=www-data --regid=www-data --init-groups id -u
setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all --bounding-set=-all id -un
start-stop-daemon --start --quiet --chuid daemon --exec /usr/bin/id -- -un
)SH",
     .says = "33\nnobody\ndaemon\n",
     .against = Against::kNothing,
     .many_ids = true},

    {.name = "with --user root nginx opens port 80, and its workers are www-data's",
     .needs = {"nginx", "curl"},
     .flags = {"--user", "root"},
     .script = kTools + R"SH(
chmod 711 . ; mkdir www; echo page >www/index.html
cat >nginx.conf <<E
user www-data;
pid $PWD/pid;
worker_processes 2;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path $PWD/body; proxy_temp_path $PWD/proxy; fastcgi_temp_path $PWD/fastcgi;
  uwsgi_temp_path $PWD/uwsgi; scgi_temp_path $PWD/scgi;
  server { listen 80; listen [::1]:80; root $PWD/www; }
}
E
nginx -e "$PWD/error.log" -p "$PWD" -c "$PWD/nginx.conf"
curl -sS http://localhost/
until_true sh -c 'ps -o user= -C nginx | grep -c www-data | grep -x 2'
ps -o user= -C nginx | sort | uniq -c | tr -s ' '
stat -c %U body
)SH",
     .says = "page\n 1 root\n 2 www-data\nwww-data\n",
     .against = Against::kNothing,
     .many_ids = true},

    {.name = "with --user root memcached and PostgreSQL run as users of their own",
     .needs = {"memcached", "setpriv", "python3", "ps", "/usr/lib/postgresql/15/bin/initdb"},
     .flags = {"--user", "root"},
     .script = kTools + R"SH(
memcached -d -u nobody -s /tmp/socket -a 777
until_true test -S /tmp/socket
ask /tmp/socket 'set key 0 0 5' value 'get key' | head -n 1
ps -o user= -C memcached
as() { setpriv --reuid=www-data --regid=www-data --clear-groups "$@"; }
export PATH=/usr/lib/postgresql/15/bin:$PATH
mkdir -m 700 /tmp/data; chown www-data: /tmp/data; cd /tmp
as initdb -D data -A trust --no-sync --no-locale >log
as pg_ctl -D data -w -t 60 -l data/log -o '-k /tmp' start >>log
as psql -h /tmp -qAt -c 'select current_user' postgres
as pg_ctl -D data -w -m fast stop >>log
)SH",
     .says = "STORED\nnobody\nwww-data\n",
     .against = Against::kNothing,
     .many_ids = true},
};

const sbx::compat::Theme kTheme("servers", kStores);
const sbx::compat::Theme kTheme2("servers", kWeb);
const sbx::compat::Theme kTheme3("servers", kDaemons);
const sbx::compat::Theme kTheme4("servers", kDropping);

}  // namespace
