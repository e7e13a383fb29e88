// SPDX-License-Identifier: Apache-2.0
//
// Interpreters and virtual machines, each with the parts of it that lean on the kernel.
#include "compat/row.hpp"

namespace {

using sbx::compat::Against;
using sbx::compat::Row;

const Row kPython[] = {
    {.name = "python3 multiprocessing: pools, queues, locks and shared memory",
     .needs = {"python3"},
     .script = R"SH(
cat >a.py <<'E'
import multiprocessing as mp
from multiprocessing import shared_memory
def square(n): return n * n
def put(queue, lock, name):
    memory = shared_memory.SharedMemory(name)
    with lock: memory.buf[0] += 1
    memory.close()
    queue.put(1)
if __name__ == '__main__':
    for method in ('fork', 'spawn', 'forkserver'):
        context = mp.get_context(method)
        with context.Pool(3) as pool: print(method, sum(pool.map(square, range(100))))
    memory = shared_memory.SharedMemory(create=True, size=1 << 20)
    context = mp.get_context('fork')
    queue, lock = context.Queue(), context.Lock()
    many = [context.Process(target=put, args=(queue, lock, memory.name)) for _ in range(5)]
    for process in many: process.start()
    for process in many: process.join()
    print(sum(queue.get() for _ in many), memory.buf[0])
    memory.close()
    memory.unlink()
E
python3 a.py
)SH",
     .says = "fork 328350\nspawn 328350\nforkserver 328350\n5 5\n"},

    {.name = "python3 asyncio: subprocesses, signals, threads, servers on sockets",
     .needs = {"python3"},
     .script = R"SH(
cat >a.py <<'E'
import asyncio, os, signal
async def answer(reader, writer):
    writer.write((await reader.readline()).upper())
    writer.close()
async def ask(connection):
    reader, writer = await connection
    writer.write(b'word\n')
    print(await reader.read())
    writer.close()
async def main():
    processes = [await asyncio.create_subprocess_exec('cat', stdin=-1, stdout=-1) for _ in range(10)]
    said = await asyncio.gather(*(p.communicate(b'x' * 100000) for p in processes))
    print(sum(len(out) for out, _ in said))
    shell = await asyncio.create_subprocess_shell('exit 3')
    print(await shell.wait())
    got = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, got.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await got.wait()
    print(await asyncio.to_thread(lambda: 'in a thread'))
    server = await asyncio.start_server(answer, '127.0.0.1', 0)
    await ask(asyncio.open_connection(*server.sockets[0].getsockname()))
    server = await asyncio.start_unix_server(answer, 'socket')
    await ask(asyncio.open_unix_connection('socket'))
asyncio.run(main())
E
python3 a.py
)SH",
     .says = "1000000\n3\nin a thread\nb'WORD\\n'\nb'WORD\\n'\n"},

    {.name = "python3 sqlite3: a journal in the work folder, and shared memory for its log",
     .needs = {"python3"},
     .script = R"SH(
cat >a.py <<'E'
import sqlite3
for mode in ('delete', 'wal'):
    first = sqlite3.connect('data.db')
    print(first.execute('pragma journal_mode=' + mode).fetchone())
    first.execute('create table if not exists t (n)')
    with first: first.executemany('insert into t values (?)', ((n,) for n in range(1000)))
    second = sqlite3.connect('data.db')
    print(second.execute('select count(*), sum(n) from t').fetchone())
    first.close(); second.close()
E
python3 a.py
)SH",
     .says = "('delete',)\n(1000, 499500)\n('wal',)\n(2000, 999000)\n",
     .work = true},

    {.name = "python3 makes a virtual environment and runs in it",
     .needs = {"python3"},
     .script = R"SH(
python3 -m venv --without-pip env
. env/bin/activate
python -c 'import sys; print(sys.prefix != sys.base_prefix)'
)SH",
     .says = "True\n",
     .work = true},

    {.name = "python3 sees its user, its machine and its locale",
     .needs = {"python3"},
     .script = R"SH(
cat >a.py <<'E'
import getpass, locale, os, pwd, socket, sys, tempfile, time, zoneinfo
me = pwd.getpwuid(os.getuid())
print(getpass.getuser() == me.pw_name, os.path.expanduser('~') == os.environ['HOME'])
print(socket.gethostbyname(socket.gethostname()) is not None, sys.getfilesystemencoding())
print(locale.setlocale(locale.LC_ALL, ''), os.cpu_count() >= 1, len(os.sched_getaffinity(0)) >= 1)
print(tempfile.gettempdir(), time.localtime(0).tm_year, zoneinfo.ZoneInfo('Europe/Paris'))
E
python3 a.py
)SH"},
};

const Row kNode[] = {
    {.name = "node: worker threads that share memory, and child processes",
     .needs = {"node"},
     .script = R"SH(
cat >a.js <<'E'
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const { execFileSync, fork, spawn } = require('child_process');
if (process.argv[2] === 'child') {
  process.on('message', n => { process.send(n * 2); process.disconnect(); });
} else if (isMainThread) {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const all = [1, 2, 3, 4].map(() => new Promise(done =>
    new Worker(__filename, { workerData: shared }).on('exit', done)));
  Promise.all(all).then(() => {
    console.log(shared[0], String(execFileSync('echo', ['out'])).trim());
    const child = fork(__filename, ['child']);
    child.on('message', n => {
      console.log(n);
      spawn('sh', ['-c', 'kill -TERM $$']).on('exit', (code, signal) => console.log(code, signal));
    });
    child.send(21);
  });
} else {
  for (let i = 0; i < 1000; ++i) Atomics.add(workerData, 0, 1);
}
E
node a.js
)SH",
     .says = "4000 out\n42\nnull SIGTERM\n"},

    {.name = "node: an http server on the loopback, and files that are watched",
     .needs = {"node"},
     .script = R"SH(
cat >a.js <<'E'
const http = require('http'), fs = require('fs');
const server = http.createServer((request, response) => response.end('you asked for ' + request.url));
server.listen(0, 'localhost', () => {
  http.get({ port: server.address().port, host: 'localhost', path: '/page' }, response => {
    response.on('data', data => console.log(response.statusCode, String(data)));
    response.on('end', () => { server.close(); watch(); });
  });
});
function watch() {
  const watcher = fs.watch('.', (event, name) => {
    if (name !== 'new') return;
    console.log('seen', name);
    watcher.close();
  });
  fs.writeFileSync('new', '');
}
E
node a.js
)SH",
     .says = "200 you asked for /page\nseen new\n"},

    {.name = "npm installs a local package and runs its script, without a network",
     .needs = {"npm"},
     .script = R"SH(
mkdir part whole
echo '{"name": "part", "version": "1.0.0", "bin": {"part": "part.js"}}' >part/package.json
printf '#!/usr/bin/env node\nconsole.log("from the part")\n' >part/part.js
chmod +x part/part.js
cd part; npm pack --silent >../name; cd ..
cd whole
echo '{"name": "whole", "version": "1.0.0", "scripts": {"show": "part"}}' >package.json
npm install --offline --no-audit --no-fund --silent "../part/$(cat ../name)" >&2
ls node_modules
npm run --silent show
)SH",
     .says = "part\nfrom the part\n",
     .work = true},
};

const Row kOthers[] = {
    {.name = "perl: fork, pipes, sockets, signals, times",
     .needs = {"perl"},
     .script = R"SH(
cat >a.pl <<'E'
use strict; use warnings; use POSIX; use IO::Socket::INET; use File::Temp 'tempfile'; use Fcntl ':flock';
my $pid = open(my $from, '-|') // die; if (!$pid) { print "from the child\n"; exit 7 }
print <$from>; close $from; print $? >> 8, "\n";
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $@;
if (!fork) { print { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->sockport) } "through a socket\n"; exit }
print readline $server->accept; wait;
$SIG{ALRM} = sub { print "alarm\n" }; alarm 1; pause;
my ($file, $name) = tempfile(); flock $file, LOCK_EX or die; print -s $name, "\n"; unlink $name;
print join(' ', (getpwuid $<)[0] eq getlogin_or_self(), strftime('%Y', gmtime 0)), "\n";
sub getlogin_or_self { (getpwuid $>)[0] }
E
perl a.pl
)SH",
     .says = "from the child\n7\nthrough a socket\nalarm\n0\n1 1970\n"},

    {.name = "ruby: threads, fork, pipes, sockets, signals",
     .needs = {"ruby"},
     .script = R"SH(
cat >a.rb <<'E'
require 'socket'; require 'open3'; require 'tempfile'; require 'etc'
puts 10.times.map { |n| Thread.new { n * n } }.sum(&:value)
r, w = IO.pipe
pid = fork { r.close; w.puts 'from the child'; exit! 4 }
w.close; puts r.read; Process.wait pid; puts $?.exitstatus
server = TCPServer.new('localhost', 0)
Thread.new { c = server.accept; c.puts c.gets.upcase; c.close }
s = TCPSocket.new('localhost', server.addr[1]); s.puts 'word'; puts s.read
puts Open3.capture2('tr a-z A-Z', stdin_data: 'shell')[0]
trap('USR1') { puts 'signal' }; Process.kill('USR1', Process.pid); sleep 0.01
Tempfile.create('x') { |f| puts File.size(f) }
puts Etc.getpwuid.uid == Process.uid
E
ruby a.rb
)SH",
     .says = "285\nfrom the child\n4\nWORD\nSHELL\nsignal\n0\ntrue\n"},

    {.name = "php: files, sessions, processes, and its own server",
     .needs = {"php", "python3"},
     .script = R"SH(
cat >index.php <<'E'
<?php session_save_path(getcwd()); session_start(); echo "page ", $_GET['n'] ?? '', PHP_EOL;
E
cat >a.php <<'E'
<?php
echo shell_exec('echo from a shell');
file_put_contents('x', 'text', LOCK_EX); echo filesize('x'), PHP_EOL;
echo json_encode([strlen(random_bytes(5)), date('Y', 0), is_writable(sys_get_temp_dir())]), PHP_EOL;
$process = proc_open(['cat'], [['pipe', 'r'], ['pipe', 'w']], $pipes);
fwrite($pipes[0], "through cat\n"); fclose($pipes[0]); echo stream_get_contents($pipes[1]);
echo proc_close($process), PHP_EOL;
$port = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($port, false); fclose($port);
$server = proc_open(['php', '-S', $address], [2 => ['file', 'log', 'w']], $none);
for ($i = 0; !($page = @file_get_contents("http://$address/?n=5")) && $i < 200; ++$i) usleep(50000);
echo $page;
proc_terminate($server);
E
php a.php
)SH",
     .says = "from a shell\n4\n[5,\"1970\",true]\nthrough cat\n0\npage 5\n"},

    // Without the package of the compiler's own program: the runtime has the compiler in itself.
    {.name = "a JVM compiles, and runs threads, processes, sockets and mapped files",
     .needs = {"java"},
     .script = R"SH(
cat >A.java <<'E'
import java.io.*; import java.net.*; import java.nio.*; import java.nio.channels.*;
import java.nio.file.*; import java.util.*; import java.util.stream.*;
public class A {
  public static void main(String[] args) throws Exception {
    System.out.println(IntStream.range(0, 1000).parallel().sum());
    var process = new ProcessBuilder("sh", "-c", "echo from a shell; exit 3").start();
    System.out.println(new String(process.getInputStream().readAllBytes()).trim() + " " + process.waitFor());
    try (var server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      var thread = new Thread(() -> {
        try (var one = server.accept()) { one.getOutputStream().write("word\n".getBytes()); }
        catch (IOException e) { e.printStackTrace(); }
      });
      thread.start();
      try (var socket = new Socket(InetAddress.getLoopbackAddress(), server.getLocalPort())) {
        System.out.print(new String(socket.getInputStream().readAllBytes()));
      }
      thread.join();
    }
    try (var channel = FileChannel.open(Path.of("map"), StandardOpenOption.CREATE,
        StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      channel.map(FileChannel.MapMode.READ_WRITE, 0, 8192).put("mapped".getBytes());
    }
    System.out.println(Files.size(Path.of("map")));
    System.out.println(System.getProperty("user.name").isEmpty() + " " + System.getProperty("user.home").isEmpty());
    System.out.println(Runtime.getRuntime().availableProcessors() >= 1);
  }
}
E
java -XX:TieredStopAtLevel=1 -m jdk.compiler/com.sun.tools.javac.Main A.java
java -cp . A
)SH",
     .says = "499500\nfrom a shell 3\nword\n8192\nfalse false\ntrue\n",
     .work = true},

    {.name = "a JVM with a heap of 16 MiB collects garbage and reports when it has no more",
     .needs = {"java"},
     .script = R"SH(
cat >A.java <<'E'
import java.util.*;
public class A {
  public static void main(String[] args) {
    long sum = 0;
    for (int i = 0; i < 2000; ++i) sum += new byte[100_000].length;
    System.out.println(sum);
    var kept = new ArrayList<byte[]>();
    try { for (;;) kept.add(new byte[1_000_000]); }
    catch (OutOfMemoryError e) { kept.clear(); System.out.println("no more"); }
  }
}
E
java -Xmx16m -XX:+UseSerialGC A.java
)SH",
     .says = "200000000\nno more\n"},
};

const sbx::compat::Theme kTheme("languages", kPython);
const sbx::compat::Theme kTheme2("languages", kNode);
const sbx::compat::Theme kTheme3("languages", kOthers);

}  // namespace
