"""Programs that run other programs, or whatever they are told: what may not pass by a rule for their name alone.

1. INTERPRETERS carry out text; LAUNCHERS carry other commands elsewhere, or with other rights. Only a rule that spells
   out the whole call allows one.
2. HAZARDS are options of ordinary programs that run or overwrite something. A call with one counts like (1).
3. GNU takes any unambiguous beginning of a long option, so any beginning of a hazardous one counts as it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from openclaw.policy.exec.pattern import name_set

LAUNCHERS: Final = name_set(
    "at batch bwrap busybox capsh chroot containerd crontab ctr dbus-launch dbus-run-session dbus-send doas "
    "docker dpkg-reconfigure eatmydata entr expect fakeroot firejail flatpak flock gdb gdbserver kubectl lldb "
    "ltrace lxc machinectl nerdctl nsenter parallel pkexec podman prlimit proot rsh runcon runuser run-parts "
    "screen script setarch linux32 linux64 setpriv snap socat ssh sshpass start-stop-daemon strace su sudo "
    "systemctl systemd-run taskset tmux toybox unshare valgrind watch xargs xdg-open xterm chrt choom coproc eval "
    "nc ncat netcat telnet ftp sftp scp faketime torsocks proxychains run-mailcap mailcap see pkg-config at-spi "
    "chpst softlimit tini dumb-init ssh-agent ssh-add ssh-keygen xvfb-run systemd-inhibit unbuffer cgexec sem "
    "logsave newgrp sg runc wine rlwrap hyperfine perf catchsegv fzf gh tig"
)
INTERPRETERS: Final = name_set(
    "python pypy ipython node nodejs deno bun tsx ts-node perl ruby irb php lua luajit tclsh wish guile java "
    "jshell groovy scala kotlin julia R Rscript octave erl elixir ghci runghc ocaml sbcl clojure dotnet csi pwsh "
    "powershell osascript sh bash dash ash rbash zsh ksh mksh fish tcsh csh yash xonsh nu awk gawk mawk nawk "
    "original-awk sed gsed vi vim vimdiff view rvim rview nvim ex ed red emacs emacsclient nano pico rnano joe "
    "mcedit less more most pager man info apropos make gmake bmake cmake ctest ninja meson bazel scons gradle mvn "
    "ant npm npx pnpm yarn corepack pip pipx uv uvx poetry pdm hatch tox nox pytest cargo rustup rustc go gcc g++ "
    "cc c++ clang ld as rake bundle gem composer sqlite sqlite3 psql mysql mongosh redis-cli dc bc m4 gnuplot "
    "envsubst jrunscript gpg openssl terraform ansible ansible-playbook vagrant debugfs apt apt-get aptitude dpkg "
    "rpm yum dnf brew nix nix-shell mutt mail mailx lftp zip code sendmail cpio erb mix stack cabal swift zig ag "
    "ack bat"
)
_LOADERS: Final = ("ld-linux", "ld.so", "ld-musl", "ld64.so", "ld-2.", "ld-lsb")


class Options(msgspec.Struct, frozen=True):
    """The hazardous options of one program: letters, long names without their dashes, words as they are."""

    letters: str = ""
    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


HAZARDS: Final = {
    "find": Options(
        words=(
            "-exec", "-execdir", "-ok", "-okdir", "-delete", "-fprint", "-fprint0", "-fprintf", "-fls", "-files0-from",
        )
    ),
    "sort": Options("oTS", ("output", "compress-program", "temporary-directory", "files0-from")),
    "tar": Options(
        "IFV",
        (
            "to-command", "checkpoint-action", "use-compress-program", "info-script", "new-volume-script",
            "rsh-command", "rmt-command", "absolute-names", "files-from", "index-file",
        ),
    ),
    "rsync": Options("e", ("rsh", "rsync-path", "daemon", "config", "files-from", "write-batch", "log-file")),
    "fd": Options("xX", ("exec", "exec-batch")),
    "fdfind": Options("xX", ("exec", "exec-batch")),
    "rg": Options("", ("pre", "hostname-bin", "ignore-file")),
    "curl": Options("KoOTcD", ("config", "output", "remote-name", "upload-file", "cookie-jar", "dump-header", "trace",
                               "engine", "stderr", "create-dirs", "libcurl", "etag-save", "hsts", "alt-svc")),
    "wget": Options("OoaPie", ("output-document", "output-file", "append-output", "use-askpass", "execute", "config",
                               "input-file", "directory-prefix", "post-file", "body-file", "save-cookies")),
    "date": Options("sf", ("set", "file")),
    "tree": Options("o", ("fromfile", "output")),
    "xxd": Options("r", ("revert",)),
    "file": Options("Cmf", ("compile", "magic-file", "files-from")),
    "split": Options("", ("filter",)),
}  # fmt: skip


def carries(names: Iterable[str]) -> str:
    """Return which of a program's names runs what it is told, or nothing."""
    for name in names:
        if name in LAUNCHERS or name in INTERPRETERS or name.startswith(_LOADERS):
            return name
    return ""


def hazard(names: Iterable[str], argv: Sequence[str]) -> str:
    """Return the first argument that makes this call hazardous, or nothing."""
    for name in names:
        if (options := HAZARDS.get(name)) and (found := _first(options, argv[1:])):
            return found
        if name == "tar" and len(argv) > 1 and set(argv[1]) & set("IFV") and not argv[1].startswith("-"):
            return argv[1]  # the old style: letters without a dash
    return ""


def _first(options: Options, arguments: Sequence[str]) -> str:
    for word in arguments:
        if word in options.words:
            return word
        if word.startswith("--"):
            name = word[2:].partition("=")[0]
            if name and any(each.startswith(name) for each in options.names):
                return word
        elif word.startswith("-") and set(word[1:]) & set(options.letters):
            return word
    return ""
