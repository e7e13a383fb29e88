// SPDX-License-Identifier: Apache-2.0
//
// Programs that want a terminal, on the one that --tty gives. What `says` is the end of all that
// appears on it.
#include "compat/row.hpp"

namespace {

using sbx::compat::Against;
using sbx::compat::Row;

const Row kRows[] = {
    {.name = "tmux opens a window on the terminal, with a shell in it",
     .needs = {"tmux"},
     .script = R"SH(
tmux -S "$PWD/socket" -f /dev/null new-session 'tty >seen; stty size >>seen; test -t 0 && echo yes >>seen'
clear
sed 's/[0-9]*$/N/' seen | head -n 1
tail -n +2 seen
)SH",
     .says = "/dev/pts/N\r\n23 80\r\nyes\r\n",
     .against = Against::kNothing,
     .terminal = true},

    {.name = "tmux without a window: keys, a capture, a second client, an end",
     .needs = {"tmux"},
     .script = R"SH(
t() { tmux -S "$PWD/socket" -f /dev/null "$@"; }
t new-session -d -x 100 -y 30 'PS1= exec sh'
t send-keys 'echo so''me; tmux -S '"$PWD"'/socket wait-for -S done' Enter
t wait-for done
t capture-pane -p | grep -cx some
t split-window 'exec sleep 600'
t list-panes | wc -l
t kill-server
)SH",
     .says = "1\r\n2\r\n",
     .against = Against::kNothing,
     .terminal = true},

    {.name = "script records a session on a terminal of its own",
     .needs = {"script"},
     .script = R"SH(
script -qec 'tty >/dev/null && echo on a terminal; stty size; exit 3' record >/dev/null || echo status $?
grep -c '^on a terminal' record
grep -c '24 80' record
)SH",
     .says = "status 3\r\n1\r\n1\r\n",
     .terminal = true},

    {.name = "an interactive bash has job control on the terminal",
     .needs = {"bash"},
     .command = {"bash", "--norc", "--noprofile", "--noediting", "-i"},
     .input = "stty -echo; PS1=\n"
              "sleep 600 &\n"
              "kill -STOP %1; while test -n \"$(jobs -r)\"; do :; done; jobs -s | wc -l\n"
              "bg >/dev/null; jobs -r | wc -l\n"
              "kill %1; wait %1; echo status $?\n"
              "exit 5\n",
     .says = "status 143\r\nexit\r\n",
     .status = 5,
     .terminal = true},

    {.name = "stty, tput, a password from /dev/tty",
     .needs = {"stty", "tput", "bash"},
     .script = R"SH(
stty size; stty -a | grep -c isig
tput lines; tput cols
bash -c 'read -s -p Word: word </dev/tty; clear; echo ${#word} >/dev/tty'
)SH",
     .input = "secret\n",
     .cue = "Word:",
     .says = "6\r\n",
     .terminal = true},

    {.name = "python3 opens terminals, and asks without showing",
     .needs = {"python3"},
     .script = R"SH(
cat >a.py <<'E'
import getpass, os, pty, signal, termios
master, slave = pty.openpty()
print(os.ttyname(slave).startswith('/dev/pts/'), os.get_terminal_size().columns)
print(os.waitstatus_to_exitcode(pty.spawn(['sh', '-c', 'tty >/dev/null; exit $(($? + 4))'])))
print(len(getpass.getpass()))
print(os.tcgetpgrp(0) == os.getpgrp())
E
python3 a.py
)SH",
     .input = "secret\n",
     .cue = "Password: ",
     .says = "6\r\nTrue\r\n",
     .terminal = true},
};

const sbx::compat::Theme kTheme("terminal", kRows);

}  // namespace
