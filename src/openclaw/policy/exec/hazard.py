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
    "logsave newgrp sg runc wine rlwrap hyperfine perf catchsegv fzf gh tig "
    "agetty getty login openvt debconf deb-systemd-invoke service invoke-rc.d update-rc.d sensible-editor "
    "sensible-pager sensible-browser select-editor editor pager vipw vigr vidir vipe chronic ifne pee mispipe "
    "lckdo aa-exec nsjail minijail0 fakechroot pseudo direnv cpulimit multitime run-one setlock grc torify apply "
    "gtk-launch exo-open gio kde-open systemd-cat systemd-nspawn systemd-analyze ksu slogin ssh-copy-id ssh-keyscan "
    "mosh autossh tmate byobu dtach abduco msgfilter msgexec cron anacron incrond inotifywait openvpn aria2c certbot "
    "logrotate nmap tcpdump tshark ldd dialog restic rclone sshfs mount umount ip capinfos virsh update-alternatives"
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
    "ack bat "
    "c89 c99 cpp gfortran g77 gdc gnat f77 f95 ldc dmd tcc nvcc swiftc prove perldoc pdb pydoc perlbug cpan ptar "
    "ptargrep h2xs xsubpp instmodsh json_pp splain troff groff nroff grotty latex pdflatex lualatex xelatex tex "
    "pdftex luatex latexmk dvips convert magick identify mogrify gs ps2pdf ffmpeg pandoc ctags autoconf automake "
    "autoreconf autom4te aclocal libtool libtoolize bison yacc flex lex swig hg svn cvs bzr fossil darcs scalar "
    "elvish slsh rc posh jjs hy racket scheme chicken csi gosh clisp ecl gcl maxima gap sage octave-cli "
    "busctl loginctl journalctl resolvectl timedatectl w3m lynx links elinks zathura ranger mc nnn ncdu vifm "
    "unzip 7z 7za 7zr unsquashfs rtorrent docker-compose helm skaffold packer puppet chef-solo salt-call "
    "zless zmore bzless bzmore xzless xzmore lesspipe lessfile"
)
_COMPILERS: Final = ("-gcc", "-g++", "-c++", "-cpp", "-cc", "-ld", "-as", "-gfortran", "-clang", "-python", "-perl")
"""Behind the name of a machine, with or without a version: x86_64-linux-gnu-gcc-12."""
_PLUGIN: Final = ("plugin",)
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
            "rsh-command", "rmt-command", "absolute-names", "files-from", "index-file", "transform", "xform",
        ),
    ),
    "diff3": Options("", ("diff-program",)),
    "sdiff": Options("o", ("diff-program", "output")),
    "install": Options("", ("strip-program",)),
    "iconv": Options("o", ("output",)),
    **{name: Options("", _PLUGIN) for name in ("ar", "nm", "objdump", "objcopy", "ranlib", "strip", "size")},
    "rsync": Options("e", ("rsh", "rsync-path", "daemon", "config", "files-from", "write-batch", "log-file")),
    "fd": Options("xX", ("exec", "exec-batch")),
    "fdfind": Options("xX", ("exec", "exec-batch")),
    "rg": Options("", ("pre", "hostname-bin", "ignore-file")),
    "curl": Options("KoOTcD", ("config", "output", "remote-name", "upload-file", "cookie-jar", "dump-header", "trace",
                               "engine", "stderr", "create-dirs", "libcurl", "etag-save", "hsts", "alt-svc",
                               "trace-ascii", "trace-config", "remote-name-all", "output-dir", "netrc-file",
                               "unix-socket", "abstract-unix-socket", "dump-ca-embed")),
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
        if name in LAUNCHERS or name in INTERPRETERS or name.startswith(_LOADERS) or name.endswith(_COMPILERS):
            return name
    return ""


def hazard(names: Iterable[str], argv: Sequence[str]) -> str:
    """Return the first argument that makes this call hazardous, or nothing."""
    for name in names:
        if (options := HAZARDS.get(name)) and (found := _first(options, argv[1:])):
            return found
        if name == "tar" and len(argv) > 1 and set(argv[1]) & set("IFV") and not argv[1].startswith("-"):
            return argv[1]  # the old style: letters without a dash
        if name == "tar" and (remote := _remote(argv[1:])):
            return remote
        if name == "curl" and (found := next((word for word in argv if "%output{" in word), "")):
            return found
    return ""


def _remote(words: Sequence[str]) -> str:
    """Return the archive of a call of tar that lies on another host, reached by ssh."""
    for word in words:
        place = word.partition("=")[2] if word.startswith("--") else word
        if ":" in place.partition("/")[0]:
            return word
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
