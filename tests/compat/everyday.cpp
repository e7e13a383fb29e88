// SPDX-License-Identifier: Apache-2.0
//
// What a user meets first: input and output, arguments, limits, /tmp, names, the loopback, ends.
#include "compat/row.hpp"

namespace {

using sbx::compat::Against;
using sbx::compat::Row;

/// As many arguments as `n` says, after those of `sh`.
std::vector<std::string> with_arguments(std::string script, std::size_t n,
                                        const std::string& each) {
  std::vector<std::string> words = {"sh", "-euc", std::move(script), "sh"};
  words.insert(words.end(), n, each);
  return words;
}

const Row kInput[] = {
    {.name = "100 MiB go through a program's input and output unchanged",
     .command = {"cat"},
     .input_bytes = std::size_t{100} << 20},

    {.name = "10 MiB are packed, unpacked and counted in a pipeline",
     .needs = {"gzip"},
     .script = "gzip -1 | gzip -d | cksum",
     .input_bytes = std::size_t{10} << 20},

    {.name = "a program that reads no more of its input than it wants ends at once",
     .command = {"head", "-c", "1000"},
     .input_bytes = std::size_t{10} << 20},

    {.name = "an argument of 100 kB arrives whole",
     .command = with_arguments("printf %s \"$1\"", 1, std::string(100'000, 'x'))},

    {.name = "ten thousand arguments arrive",
     .command = with_arguments("echo $# $10000", 10'000, "word")},

    {.name = "arguments that are no UTF-8 arrive as they are",
     .command = with_arguments("printf %s \"$1$2\"", 2, "\xe9\xff\x80\x01")},

    {.name = "a variable of 100 kB arrives whole",
     .flags = {"--env", "BIG=" + std::string(100'000, 'x')},
     .script = "printf %s \"$BIG\" | wc -c",
     .says = "100000\n",
     .against = Against::kNothing},

    {.name = "a pipe that is closed ends the program that writes to it",
     .needs = {"bash"},
     .command = {"bash", "-c", "yes | head -n 1; echo ${PIPESTATUS[0]}"},
     .says = "y\n141\n"},
};

const Row kLimits[] = {
    {.name = "a program holds 4096 files open",
     .needs = {"python3"},
     .script = R"SH(
cat >a.py <<'E'
import os, resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 5000), hard))
fds = [os.open('/dev/null', os.O_RDONLY) for _ in range(4096)]
print(len(fds))
E
python3 a.py
)SH",
     .says = "4096\n"},

    {.name = "the nice value, the processors, the I/O class and the scheduler can be set",
     .needs = {"ionice", "taskset", "chrt"},
     .script = R"SH(
nice -n 5 nice
ionice -c 3 ionice
ionice -c 2 -n 6 ionice
taskset -c 0 taskset -p 1 | sed 's/.*: //' >mask || true
taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')" echo on one
chrt --batch 0 chrt -p 0 | head -n 1 | sed 's/.*: //'
chrt --idle 0 echo idle
)SH"},

    {.name = "limits of a process can be lowered, and are kept",
     .needs = {"bash", "prlimit"},
     .command = {"bash", "-euc",
                 "ulimit -n 100; ulimit -n; ulimit -Su 5000; prlimit --core=0 sh -c 'ulimit -c'; "
                 "(ulimit -f 1; trap '' XFSZ; head -c 5000 /dev/zero >f || wc -c <f)"}},

    {.name = "a program may be named, and offer itself to be killed first",
     .script = R"SH(
echo renamed >/proc/self/comm
echo 500 >/proc/$$/oom_score_adj
cat /proc/$$/oom_score_adj
)SH",
     .says = "500\n"},

    {.name = "memory is locked, protected by keys, and given advice on",
     .needs = {"python3"},
     .script = R"SH(
cat >a.py <<'E'
import ctypes, mmap
libc = ctypes.CDLL(None, use_errno=True)
memory = mmap.mmap(-1, 1 << 20)
at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
print(libc.mlock(ctypes.c_void_p(at), 4096), libc.madvise(ctypes.c_void_p(at), 1 << 20, 14))
print(libc.syscall(319, b'name', 0) > 0)  # memfd_create
E
python3 a.py
)SH"},

    {.name = "System V and POSIX IPC work",
     .needs = {"ipcmk", "ipcs", "ipcrm", "python3"},
     .script = R"SH(
for kind in '-M 65536' '-S 3' -Q; do ipcmk $kind; done >made
wc -l <made
ipcs | grep -c 0x
ipcrm -M "$(ipcs -m | grep -o '^0x[0-9a-f]*')"
ipcs -m | grep -c 0x || true
cat >a.py <<'E'
import ctypes, os
rt = ctypes.CDLL('librt.so.1', use_errno=True)
queue = rt.mq_open(b'/compat', os.O_RDWR | os.O_CREAT, 0o600, None)
print(queue >= 0, rt.mq_send(queue, b'text', 4, 1), rt.mq_unlink(b'/compat'))
E
python3 a.py
)SH",
     .says = "3\n3\n0\nTrue 0 0\n",
     .against = Against::kNothing},
};

const Row kPlaces[] = {
    {.name = "/tmp, /var/tmp and /dev/shm are anybody's, with the sticky bit",
     .script = "stat -c '%a %n' /tmp /var/tmp /dev/shm; for d in /tmp /var/tmp /dev/shm; do "
               "f=$(mktemp -p $d); rm $f; done",
     .says = "1777 /tmp\n1777 /var/tmp\n1777 /dev/shm\n"},

    {.name = "/dev/shm holds more than 64 MiB",
     .script = "f=$(mktemp -p /dev/shm); head -c 100M /dev/zero >$f; stat -c %s $f; rm $f",
     .says = "104857600\n"},

    {.name = "the usual commands that show the system have something to show",
     .needs = {"ps", "top", "free", "uptime"},
     .script = R"SH(
for command in id whoami groups hostname uname arch nproc date df mount ps 'ps aux' 'top -bn1' \
  free uptime env locale 'getconf -a' 'ls -la /' 'ls -l /proc/self/fd' 'stat /' 'find /dev' \
  'cat /proc/cpuinfo' 'cat /proc/meminfo' 'cat /proc/self/status' 'cat /proc/loadavg' 'cat /etc/os-release'; do
  $command >out 2>err || echo "$command: status $?"
  test -s out || echo "$command: nothing"
  head -n 1 err
done
echo end
)SH",
     .says = "end\n",
     .against = Against::kNothing},

    {.name = "users and groups have names, the home is one's own", .script = R"SH(
test "$(id -un)" = "$(whoami)"
getent passwd "$(id -u)" >/dev/null && getent group "$(id -g)" >/dev/null
test -O "$HOME" && test -w "$HOME" && cd && touch file && test -O file && test -G file
getent passwd root daemon | cut -d : -f 1,3
getent services http/tcp && getent protocols icmp
)SH"},

    {.name = "a script without a first line that names its interpreter is run by the shell",
     .needs = {"env", "find"},
     .script = R"SH(
echo 'echo ran $1' >script
chmod +x script
./script 1
env ./script 2
find script -exec ./{} 3 \;
)SH",
     .says = "ran 1\nran 2\nran 3\n"},

    {.name = "the umask that the caller has is kept",
     .command = {"sh", "-c", "umask; touch a; stat -c %a a"}},

    {.name = "temporary files, locks, queues and text tools",
     .needs = {"flock", "bash", "awk", "sed"},
     .script = R"SH(
mkfifo queue; (seq 100000 >queue &) ; sort -rn -S 1M -T "$PWD" queue | head -n 1
flock lock sh -c 'flock -n lock true || echo locked'
seq 20 | xargs -P 4 -n 5 echo | wc -l
bash -c 'diff <(seq 3) <(seq 4); coproc cat; echo x >&${COPROC[1]}; read -u ${COPROC[0]} y; echo $y'
timeout 0.1 sleep 60 || echo $?
awk 'BEGIN { "date +%Y" | getline y; print (y > 2000) }'
echo a | stdbuf -oL sed s/a/b/
split -n l/3 /etc/services part; cat part* | cmp - /etc/services
)SH"},
};

const Row kNetwork[] = {
    {.name = "IPv6 works on the loopback",
     .needs = {"python3", "/proc/net/if_inet6"},
     .script = R"SH(
cat >a.py <<'E'
import socket, threading
server = socket.create_server(('::1', 0), family=socket.AF_INET6)
def answer():
    with server.accept()[0] as s: s.sendall(s.recv(100).upper())
threading.Thread(target=answer).start()
with socket.create_connection(server.getsockname()[:2]) as s:
    s.sendall(b'word')
    print(s.recv(100))
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as b:
    a.bind(('::1', 0))
    b.sendto(b'datagram', a.getsockname())
    print(a.recv(100))
E
python3 a.py
)SH",
     .says = "b'WORD'\nb'datagram'\n"},

    {.name = "without a network a name is not found at once, and a connection refused at once",
     .needs = {"python3"},
     .script = R"SH(
cat >a.py <<'E'
import socket, time
start = time.monotonic()
try: socket.getaddrinfo('example.org', 80)
except socket.gaierror as e: print(e.strerror)
try: socket.create_connection(('192.0.2.1', 80), 5)
except OSError as e: print(e.strerror)
print(time.monotonic() - start < 2)
E
python3 a.py
)SH",
     .says = "Temporary failure in name resolution\nNetwork is unreachable\nTrue\n",
     .against = Against::kNothing},

    {.name = "localhost and the machine's own name lead to the loopback",
     .needs = {"python3"},
     .script = R"SH(
getent ahosts localhost | awk '{ print $1 }' | sort -u
getent hosts "$(hostname)" | awk '{ print $1 }'
)SH",
     .says = "127.0.0.1\n::1\n127.0.1.1\n",
     .against = Against::kNothing},

    {.name = "ping reaches the loopback without privilege",
     .needs = {"ping"},
     .script = R"SH(
ping -c 1 -W 5 127.0.0.1 | grep -o '1 received'
ping -c 1 -W 5 localhost | grep -o '1 received'
test ! -e /proc/net/if_inet6 || ping -c 1 -W 5 ::1 | grep -o '1 received'
)SH",
     .says = "1 received\n1 received\n1 received\n",
     .against = Against::kNothing},

    {.name = "a port below 1024 is opened without privilege",
     .needs = {"python3"},
     .script = R"SH(
python3 -c 'import socket; print(socket.create_server(("", 80)).getsockname()[1])'
)SH",
     .says = "80\n",
     .against = Against::kNothing},
};

const Row kEnds[] = {
    {.name = "a program that ignores SIGTERM is ended by --timeout",
     .flags = {"--timeout", "500ms"},
     .script = "trap '' TERM INT HUP; echo up; while :; do sleep 0.05; done",
     .says = "up\n",
     .status = 124,
     .against = Against::kNothing},

    {.name = "a program that is left in the background ends with the command, its output with it",
     .script = "sh -c 'trap \"\" HUP TERM; sleep 600; :' & echo done",
     .says = "done\n",
     .against = Against::kNothing},

    {.name = "children whose parent has gone leave no zombies",
     .needs = {"ps"},
     .script = R"SH(
for i in 1 2 3 4 5; do (sleep 0.1 &) done
n=0
while ps -e -o comm= | grep -q sleep; do n=$((n + 1)); test $n -lt 2000; done
echo none
)SH",
     .says = "none\n",
     .against = Against::kNothing},

    {.name = "bash job control without a terminal: wait, kill, traps, groups",
     .needs = {"bash"},
     .command = {"bash", "-c", R"SH(
set -m
sleep 600 & kill -STOP %1; wait %1 2>/dev/null; jobs | grep -o Stopped
kill -CONT %1; kill %1; wait %1 2>/dev/null; echo $?
trap 'echo caught' USR1; kill -USR1 $$
(exit 3) & wait -n; echo $?
time -p true 2>/dev/null
)SH"}},
};

const Row kTools[] = {
    {.name = "gpg makes a key, signs and checks, encrypts and decrypts",
     .needs = {"gpg", "gpg-agent"},
     .script = R"SH(
export GNUPGHOME=$PWD/keys; mkdir -m 700 keys
gpg -q --batch --passphrase '' --quick-gen-key someone@example.org default default never 2>log
echo text >file
gpg -q --batch --detach-sign file
gpg --verify file.sig file 2>&1 | grep -o 'Good signature'
gpg -q --batch -e -r someone@example.org file
gpg -q --batch -d file.gpg
gpgconf --kill all
)SH",
     .says = "Good signature\ntext\n"},

    {.name = "openssl makes keys and digests", .needs = {"openssl"}, .script = R"SH(
echo text | openssl dgst -sha256
openssl genpkey -algorithm ed25519 -out key
echo text >file
openssl pkeyutl -sign -rawin -inkey key -in file -out file.sig
openssl pkey -in key -pubout -out public
openssl pkeyutl -verify -rawin -pubin -inkey public -in file -sigfile file.sig
)SH"},

    {.name = "ImageMagick draws, scales and converts",
     .needs = {"convert", "identify"},
     .script = R"SH(
convert -size 640x480 gradient:red-blue -fill white -draw 'circle 100,100 150,100' a.png
convert a.png -resize 50% -rotate 90 b.bmp
identify -format '%m %wx%h\n' a.png b.bmp
convert b.bmp -scale 1x1! -format '%[pixel:p{0,0}]' info:
)SH"},
};

const sbx::compat::Theme kTheme("everyday", kInput);
const sbx::compat::Theme kTheme2("everyday", kLimits);
const sbx::compat::Theme kTheme3("everyday", kPlaces);
const sbx::compat::Theme kTheme4("everyday", kNetwork);
const sbx::compat::Theme kTheme5("everyday", kEnds);
const sbx::compat::Theme kTheme6("everyday", kTools);

}  // namespace
