// SPDX-License-Identifier: Apache-2.0
//
// Compilers, build systems, debuggers, git and tar: most in a work folder that is shown by --bind.
#include "compat/row.hpp"

namespace {

using sbx::compat::Against;
using sbx::compat::Row;

const Row kCompilers[] = {
    {.name = "gcc compiles, links and the result runs",
     .needs = {"gcc"},
     .script = R"SH(
cat >a.c <<'E'
#include <stdio.h>
int main(void) { printf("%d\n", 6 * 7); return 3; }
E
gcc -O2 -Wall -o a a.c
./a || echo status $?
)SH",
     .says = "42\nstatus 3\n",
     .work = true},

    {.name = "a program that was compiled in the home runs there, and in /tmp",
     .needs = {"gcc"},
     .script = R"SH(
echo 'int main(void) { return 5; }' | gcc -x c -o five -
./five || echo status $?
there=$(mktemp -d)
cp five "$there"
"$there/five" || echo status $?
rm -r "$there"
)SH",
     .says = "status 5\nstatus 5\n"},

    {.name = "g++ -pthread: threads, exceptions, thread-local storage",
     .needs = {"g++"},
     .script = R"SH(
cat >a.cpp <<'E'
#include <atomic>
#include <future>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <vector>
thread_local int mine = 0;
int main() {
  std::atomic<int> sum = 0;
  std::vector<std::thread> all;
  for (int i = 0; i < 50; ++i) all.emplace_back([&, i] { mine = i; sum += mine; });
  for (auto& thread : all) thread.join();
  auto thrown = std::async(std::launch::async, []() -> int { throw std::runtime_error("thrown"); });
  try { thrown.get(); } catch (const std::exception& e) { std::cout << e.what() << '\n'; }
  std::cout << sum << '\n';
}
E
g++ -std=c++20 -O1 -pthread -o a a.cpp
./a
)SH",
     .says = "thrown\n1225\n",
     .work = true},

    {.name = "clang++ compiles, links and the result runs",
     .needs = {"clang++-14"},
     .script = R"SH(
cat >a.cpp <<'E'
#include <iostream>
#include <string>
int main(int argc, char** argv) { std::cout << std::string(argv[argc - 1]) + "!" << '\n'; }
E
clang++-14 -std=c++20 -o a a.cpp
./a word
)SH",
     .says = "word!\n",
     .work = true},

    {.name = "the address sanitizer finds a fault, and the leak sanitizer a leak",
     .needs = {"gcc"},
     .script = R"SH(
cat >a.c <<'E'
#include <stdlib.h>
int main(int argc, char** argv) {
  (void)argv;
  char* volatile p = malloc(10);
  if (argc > 1) return p[10];
  p = 0;
  return 0;
}
E
gcc -g -fsanitize=address -o a a.c
./a fault 2>err || echo status $?
grep -o 'heap-buffer-overflow on address' err
./a 2>err || echo status $?
grep -o 'detected memory leaks' err
)SH",
     .says = "status 1\nheap-buffer-overflow on address\nstatus 1\ndetected memory leaks\n",
     .work = true},

    {.name = "make -j builds what has changed",
     .needs = {"make", "gcc"},
     .script = R"SH(
printf 'all: a b c d\n%%: %%.c\n\tgcc -o $@ $<\n' >Makefile
for name in a b c d; do echo 'int main(void) { return 0; }' >$name.c; done
make -s -j4
./a && ./b && ./c && ./d
touch -d 2001-01-01 a.c b.c d.c
touch -d 2030-01-01 c.c
make -j4 2>err
)SH",
     .says = "gcc -o c c.c\n",
     .work = true},

    {.name = "cmake configures, builds and tests",
     .needs = {"cmake", "make", "g++"},
     .script = R"SH(
cat >CMakeLists.txt <<'E'
cmake_minimum_required(VERSION 3.18)
project(sample CXX)
find_package(Threads REQUIRED)
add_library(part part.cpp)
add_executable(sample sample.cpp)
target_link_libraries(sample part Threads::Threads)
enable_testing()
add_test(NAME runs COMMAND sample)
E
echo 'int part() { return 4; }' >part.cpp
cat >sample.cpp <<'E'
#include <cstdio>
int part();
int main() { std::printf("%d\n", part()); }
E
cmake -S . -B build >log
cmake --build build --parallel 2 >>log
build/sample
cd build && ctest | grep -o '100% tests passed'
)SH",
     .says = "4\n100% tests passed\n",
     .work = true},

    {.name = "meson and ninja build and test",
     .needs = {"meson", "ninja", "gcc"},
     .script = R"SH(
printf "project('sample', 'c')\ntest('runs', executable('sample', 'sample.c'))\n" >meson.build
echo 'int main(void) { return 0; }' >sample.c
meson setup build >log
ninja -C build >>log
meson test -C build | grep -cE '^Ok: *1'
)SH",
     .says = "1\n",
     .work = true},
};

const Row kDebuggers[] = {
    {.name = "gdb runs a program to a breakpoint and shows where it is",
     .needs = {"gdb", "gcc"},
     .script = R"SH(
cat >a.c <<'E'
static int inner(int n) { return n * 2; }
int main(void) { return inner(21); }
E
gcc -g -O0 -o a a.c
gdb -q -nx -batch -ex 'break inner' -ex run -ex 'print n' -ex backtrace -ex continue ./a \
  >out 2>err </dev/null || cat err >&2
grep -o '^\$1 = 21' out
grep -o '^#[01].*' out | sed 's/0x[0-9a-f]* in //'
grep -o 'exited with code 052' out
)SH",
     .says = "$1 = 21\n#0  inner (n=21) at a.c:1\n#1  main () at a.c:2\nexited with code 052\n",
     .work = true},

    {.name = "gdb attaches to a process that runs already", .needs = {"gdb"}, .script = R"SH(
sleep 60 &
gdb -q -nx -batch -p $! -ex 'info inferiors' >out 2>err </dev/null
grep -c "process $! " out || cat out err
kill $!
)SH"},

    {.name = "strace follows a child and tells what it calls",
     .needs = {"strace"},
     .script = R"SH(
strace -f -o log -e trace=execve,kill sh -c '/bin/true; kill -s USR1 $$' || echo status $?
grep -c 'execve("/bin/true"' log
grep -o 'kill([0-9]*, SIGUSR1)' log | tr -d 0-9
)SH",
     .says = "status 138\n1\nkill(, SIGUSR)\n",
     .work = true},

    {.name = "setarch -R turns the randomisation of addresses off",
     .needs = {"setarch"},
     .script = R"SH(
stack() { setarch -R grep stack /proc/self/maps; }
test -n "$(stack)" && test "$(stack)" = "$(stack)" && echo equal
)SH",
     .says = "equal\n"},

    {.name = "a process reads and writes the memory of its child",
     .needs = {"python3"},
     .script = R"SH(
cat >memory.py <<'E'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Vector(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]
def check(result):
    if result < 0: sys.exit(os.strerror(ctypes.get_errno()))
def move(call, here, there):
    local, remote = Vector(ctypes.addressof(here), 5), Vector(ctypes.addressof(there), 5)
    check(call(child, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))
text = ctypes.create_string_buffer(b'first')
r, w = os.pipe()
child = os.fork()
if child == 0:
    os.close(w)
    os.read(r, 1)
    os._exit(0 if text.value == b'other' else 1)
os.close(r)
got = ctypes.create_string_buffer(5)
move(libc.process_vm_readv, got, text)
print(got.raw.decode())
move(libc.process_vm_writev, ctypes.create_string_buffer(b'other'), text)
os.close(w)
print(os.waitpid(child, 0)[1])
E
python3 memory.py
)SH",
     .says = "first\n0\n"},

    {.name = "abort and kill -9 end a program with their own statuses",
     .needs = {"python3"},
     .script = R"SH(
ulimit -c 0
python3 -c 'import os; os.abort()' || echo $?
sh -c 'kill -9 $$' || echo $?
exec python3 -c 'import os, signal; os.kill(os.getpid(), signal.SIGTERM)'
)SH",
     .says = "134\n137\n",
     .status = 143},
};

const Row kFiles[] = {
    {.name = "git: commit, branch, merge, clone, push, collect",
     .needs = {"git"},
     .script = R"SH(
export GIT_AUTHOR_DATE='2001-01-01 00:00 +0000' GIT_COMMITTER_DATE='2001-01-01 00:00 +0000'
git config --global user.name Someone
git config --global user.email someone@example.org
git init -q -b main one
cd one
for i in 1 2 3; do echo $i >file$i; git add .; git commit -q -m "step $i"; done
git checkout -q -b side HEAD~1
echo side >side; git add .; git commit -q -m side
git checkout -q main
git merge -q -m merged side
git gc -q
cd ..
git clone -q one two
cd two
git checkout -q -b back; echo back >back; git add .; git commit -q -m back
git push -q origin back
cd ../one
git log --oneline --graph back
git fsck
)SH",
     .work = true},

    {.name = "tar packs and unpacks a tree with links, modes, times and sparse files",
     .needs = {"tar", "xz"},
     .script = R"SH(
mkdir -p tree/deep/er
echo text >tree/file; chmod 640 tree/file; touch -d 2001-02-03T04:05:06Z tree/file
ln tree/file tree/hard; ln -s deep/er tree/soft; mkfifo tree/pipe
truncate -s 50M tree/sparse
tar cSJf tree.tar.xz tree
rm -r tree
tar xJpf tree.tar.xz
find tree -printf '%y %m %l %p\n' | sort -k 4
stat -c '%s %Y %h' tree/file
test "$(stat -c %b tree/sparse)" -lt 1000
)SH",
     .work = true},

    {.name = "tar x of a foreign archive gives all files to who unpacks it",
     .needs = {"tar", "python3"},
     .script = R"SH(
cat >pack.py <<'E'
import io, tarfile
with tarfile.open('foreign.tar', 'w') as archive:
    for name, uid, mode in (('a', 0, 0o644), ('b', 33, 0o600), ('c', 1005, 0o755)):
        entry = tarfile.TarInfo(name)
        entry.uid = entry.gid = uid
        entry.mode = mode
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b'x\n'))
E
python3 pack.py
tar xpf foreign.tar
for file in a b c; do test -O $file; stat -c '%n %a %s' $file; done
)SH",
     .says = "a 644 2\nb 600 2\nc 755 2\n"},

    {.name = "tar x of a foreign archive keeps its owners with --user root",
     .needs = {"tar"},
     .flags = {"--user", "root"},
     .script = R"SH(
mkdir tree; cd tree
touch a b c
chown 33:33 b; chmod 600 b; chown 1005:1006 c
cd ..
tar cf tree.tar tree
rm -r tree
tar xf tree.tar
stat -c '%n %u:%g %a' tree/a tree/b tree/c
)SH",
     .says = "tree/a 0:0 644\ntree/b 33:33 600\ntree/c 1005:1006 644\n",
     .against = Against::kNothing,
     .many_ids = true},

    {.name = "files of a work folder are linked, locked, mapped, renamed and given attributes",
     .needs = {"python3"},
     .script = R"SH(
cat >files.py <<'E'
import fcntl, mmap, os
with open('a', 'wb') as f: f.truncate(1 << 20)
with open('a', 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
    m[4096:4100] = b'text'
    m.flush()
os.link('a', 'b'); os.rename('b', 'c'); os.chmod('c', 0o600); os.utime('c', (1, 2))
os.setxattr('c', 'user.note', b'value')
with open('c', 'r+b') as f:
    fcntl.flock(f, fcntl.LOCK_EX)
    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    f.seek(4096)
    print(f.read(4), os.getxattr('c', 'user.note'), os.stat('c').st_nlink, oct(os.stat('a').st_mode))
    os.posix_fallocate(f.fileno(), 0, 2 << 20)
    print(os.copy_file_range(f.fileno(), os.open('d', os.O_RDWR | os.O_CREAT), 4, 4096))
E
python3 files.py
)SH",
     .says = "b'text' b'value' 2 0o100600\n4\n",
     .work = true},

    {.name = "names of files that are not UTF-8 are what they are",
     .script = R"SH(
name=$(printf 'caf\351 \377\001')
echo text >"$name"
mkdir "d$name"; mv "$name" "d$name/$name"
find . -name 'd*' -print0 | od -An -c
cat "d$name/$name"
)SH",
     .work = true},
};

const sbx::compat::Theme kTheme("building", kCompilers);
const sbx::compat::Theme kTheme2("building", kDebuggers);
const sbx::compat::Theme kTheme3("building", kFiles);

}  // namespace
